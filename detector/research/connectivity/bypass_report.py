"""Bypasses for people: what is connected after each round, what that takes, and which pixels change."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import FuncFormatter
from PIL import Image

from detector.metrics import auroc_estimate
from detector.reporting import numbers
from detector.reporting.boxes import quantile_boxes
from detector.reporting.drawing import SERIES, chart, figure
from detector.reporting.html import element, picture
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.connectivity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.classifiers.base import Float32Array
    from detector.research.connectivity.joined import Joined
    from detector.research.connectivity.options import ConnectivityOptions

_MOST_MAPS: Final = 20


def bypass_charts(joined: Mapping[Kind, Joined]) -> dict[str, Markup]:
    """All charts of the study, by name."""
    return {"connected": _shares(joined), "heights": _heights(joined)}


def bypass_sections(
    joined: Mapping[Kind, Joined],
    labels: Sequence[str],
    options: ConnectivityOptions,
    charts: Mapping[str, Markup],
) -> Iterator[Section]:
    """The study for people.

    Args:
        joined: What was found, at least one kind.
        labels: Of each class.
        options: How it was asked for.
        charts: As of `bypass_charts`.
    """
    yield Section.of(
        "bypass",
        "Around the barrier",
        paragraph(
            "Where the straight path from A to C passes epsilon, its highest point B is moved, across the path, to a "
            "B' of low loss; the path then leads A - B' - C. In the next round each segment that still passes epsilon "
            f"is bypassed in the same way. Epsilon is {options.epsilon:g} nats. A pair with an end above epsilon can't "
            "connect whatever is done, so pairs whose ends are below it are counted apart."
        ),
        _shares_table(joined),
        figure(
            charts["connected"],
            "Share of pairs connected after each round, how many pairs in brackets, with 95% intervals.",
        ),
        figure(
            charts["heights"],
            "The largest loss on the whole path, ends included, before and after each round; all pairs.",
        ),
    )
    yield Section.of("segments", "What it takes", _cost_paragraph(joined), _cost_table(joined))
    maps = joined[Kind.REAL].maps if Kind.REAL in joined else np.empty((0, 0, 0), np.float32)
    if maps.any():
        yield _maps_section(maps, labels, len(joined[Kind.REAL].displaced.rows))


def _shares_table(joined: Mapping[Kind, Joined]) -> Markup:
    rounds = max(one.chains.heights.shape[1] for one in joined.values())
    names = ["straight", *(f"after round {number}" for number in range(1, rounds))]
    rows = []
    for kind, one in joined.items():
        for words, connectable in (("all pairs", False), ("both ends below epsilon", True)):
            rates = one.connected(connectable=connectable)
            shown = [numbers.realised(rate) for rate in rates] or [numbers.NOTHING] * rounds
            rows.append([row_head(f"{kind}, {words}", long=True), f"{rates[0].total if rates else 0:,}", *shown])
    return wide(("pairs connected", "how many", *names), rows)


def _shares(joined: Mapping[Kind, Joined]) -> Markup:
    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, (kind, one) in enumerate(joined.items()):
            for connectable, line, words in ((False, "--", "all"), (True, "-", "ends below epsilon")):
                rates = one.connected(connectable=connectable)
                if not rates:
                    continue
                at = np.arange(len(rates)) + 0.03 * (2 * number + connectable)
                low, high = [rate.low for rate in rates], [rate.high for rate in rates]
                axis.vlines(at, low, high, color=SERIES[number], linewidth=1)
                name = f"{kind}, {words} ({rates[0].total})"
                axis.plot(at, [rate.rate for rate in rates], line, color=SERIES[number], marker="o", ms=4, label=name)
        rounds = max(one.chains.heights.shape[1] for one in joined.values())
        axis.set_xticks(range(rounds), ["straight", *(f"{number}" for number in range(1, rounds))])
        axis.set_ylim(-0.03, 1.03)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        axis.set_xlabel("rounds of bypasses")
        axis.set_ylabel("pairs connected")
        drawn.legend(loc="outside right center")

    return chart("connected", "share of pairs connected after each round", (8.5, 3.0), paint)


def _heights(joined: Mapping[Kind, Joined]) -> Markup:
    rows = []
    for kind, one in joined.items():
        for number, heights in enumerate(one.chains.heights.T):
            rows.append((f"{kind}, {'straight' if number == 0 else f'round {number}'}", heights))
    return quantile_boxes(
        "heights", "largest loss on the path after each round", rows, "largest loss on the path (nats)"
    )


def _cost_paragraph(joined: Mapping[Kind, Joined]) -> Markup:
    text = (
        "How many segments the path had when it first stayed below epsilon; how far B' lies from B, as a share of the "
        "path's length; and the largest pixel that changed, as a share of the largest pixel of B. Means with their 95% "
        "intervals are in connectivity.json; here are medians, and what 95% stay below."
    )
    if Kind.PAPER in joined:
        real, paper = (joined[kind].rounds_needed.astype(np.float32) for kind in (Kind.REAL, Kind.PAPER))
        text += (
            " Rounds needed, as a score of a second stage, tell adversarial from real pairs with an AUROC of "
            f"{numbers.estimate(auroc_estimate(real, paper))}."
        )
    return paragraph(text)


def _cost_table(joined: Mapping[Kind, Joined]) -> Markup:
    head = ("pairs", "1 segment", "2", "3 or 4", "more", "never", "bypassed", "|B' - B| / |C - A|", "largest pixel")
    rows = []
    for kind, one in joined.items():
        needed = one.segments_needed
        counts = [(needed == 1), (needed == 2), (needed > 2) & (needed <= 4), needed > 4, needed == 0]  # noqa: PLR2004
        displaced = one.displaced
        rows.append(
            [
                row_head(kind.value),
                *(f"{int(each.sum()):,}" for each in counts),
                f"{len(displaced.rows):,}",
                _median_and_most(displaced.shares),
                _median_and_most(displaced.largest),
            ]
        )
    return wide(head, rows)


def _median_and_most(values: Float32Array) -> str:
    if not len(values):
        return numbers.NOTHING
    return f"{numbers.percent(float(np.median(values)))} (95%: {numbers.percent(float(np.quantile(values, 0.95)))})"


def _maps_section(maps: Float32Array, labels: Sequence[str], bypassed: int) -> Section:
    note = (
        "Which pixels change for the path between two images to stay in the class: the size of B' - B, each scaled to "
        f"a largest of 1, averaged over the class's bypassed pairs ({bypassed:,} in all). White changes most."
    )
    shown = [label for label in range(len(maps)) if maps[label].any()][:_MOST_MAPS]
    cards = [
        element(
            "figure",
            picture(_png(maps[label]), f"where paths of {labels[label]} are bypassed", class_="pixels"),
            element("figcaption", labels[label]),
        )
        for label in shown
    ]
    return Section.of("maps", "Which pixels must change", paragraph(note), element("div", *cards, class_="walk"))


def _png(values: Float32Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.rint(255 * values / values.max()).astype(np.uint8)).save(stream, "png")
    return stream.getvalue()
