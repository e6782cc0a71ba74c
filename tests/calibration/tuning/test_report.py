from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.calibration.tuning.report import recorded, tuning_body
from detector.reporting.html import joined
from tests.support.pages import read_page

if TYPE_CHECKING:
    from tests.calibration.tuning.conftest import Tuned


def test_the_bundles_report_tells_every_decision_and_draws_them(tuned: Tuned) -> None:
    html = (tuned.result.path / "report.html").read_text(encoding="utf-8")
    page = read_page(html)
    text = " ".join(page.text)
    assert "Tuning" in page.text
    for one in tuned.result.decisions:
        assert one.chosen in text
        assert one.why in text
        assert f"{one.chosen} (chosen)" in text
        assert all(candidate.name in text for candidate in one.candidates)
    assert page.tags.count("svg") == 1
    assert 'aria-label="Quality against cost of what was tried.' in html
    assert not re.search(r"https?:|@import|<script", html)


def test_a_manifest_without_tuning_has_no_section(tuned: Tuned) -> None:
    assert recorded({}) == ((), ())
    decisions, missing = recorded(tuned.result.manifest.provenance)
    assert decisions == tuned.result.decisions
    assert missing


def test_the_same_decisions_give_the_same_section(tuned: Tuned) -> None:
    first, again = (tuning_body(tuned.result.decisions, ()) for _ in range(2))
    assert first == again


def test_whatever_names_hold_is_text(tuned: Tuned) -> None:
    nasty = '<script>alert("x")</script> & co'
    one = tuned.result.decisions[0]
    changed = replace(
        one, chosen=nasty, why=nasty, candidates=(replace(one.candidates[0], name=nasty, worst=nasty, barred=nasty),)
    )
    page = read_page(str(joined(tuning_body([changed], [nasty]))))
    assert "script" not in page.tags
    assert " ".join(page.text).count(nasty) >= 5
