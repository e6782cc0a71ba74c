from __future__ import annotations

import re
from typing import TYPE_CHECKING

from detector.reporting.drawing import INK, SERIES, chart, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _painted(name: str, text: str) -> str:
    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=SERIES[3], marker="o")
        axis.set_title(label(text), color=INK)

    return str(chart(name, text, (3, 2), paint))


def test_a_chart_has_its_own_ids_the_colours_of_the_page_and_its_words() -> None:
    drawn = _painted("one", 'a <b> & "#010203"')
    assert set(re.findall(r'id="([^"]+)"', drawn)) <= set(re.findall(r'id="(one-[^"]+)"', drawn))
    assert {"var(--c3)", "var(--ink)"} <= set(re.findall(r"var\(--\w+\)", drawn))
    assert 'a &lt;b&gt; &amp; "#010203"</text>' in drawn
    assert 'aria-label="a &lt;b&gt; &amp; &quot;#010203&quot;"' in drawn
    assert drawn == _painted("one", 'a <b> & "#010203"')


def test_labels_are_short_and_printable() -> None:
    assert label("a\x00b\nc") == "a b c"
    assert len(label("x" * 100)) == 40
    assert label("\u4e2d") == "\u4e2d"
