from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.calibration.tuning.decisions import Subject, Tried, decide
from detector.calibration.tuning.quality import Quality
from detector.evaluation.report import headlines, render_report
from detector.evaluation.results import TuningResult
from tests.support.pages import read_page

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults


@pytest.fixture(scope="module")
def tuned(small: EvaluationResults) -> EvaluationResults:
    tried = [Tried("four points", 19, Quality(0.95, np.array([0.01]))), Tried("one", 7, Quality(0.9, np.array([0.02])))]
    decision = decide(Subject.ALPHAS, tried, standing="one", measure="AUROC", images="some")
    plain = replace(small.channels[0], name="the guard without tuning", forwards_per_image=21)
    tuning = TuningResult(decisions=[decision.to_json()], missing=["nothing was bypassed"], untuned=plain)
    return replace(small, tuning=tuning)


def test_the_page_sets_the_two_guards_side_by_side_and_says_what_was_chosen(tuned: EvaluationResults) -> None:
    html = render_report(tuned)
    page = read_page(html)
    text = " ".join(page.text)
    assert "the guard without tuning" in page.text
    assert "four points (chosen)" in text
    assert "Also: nothing was bypassed." in text
    assert 'aria-label="Quality against cost of what was tried. Chosen: alphas: four points' in html


def test_the_terminal_is_told_both(tuned: EvaluationResults, small: EvaluationResults) -> None:
    lines = [line for line in headlines(tuned) if line.startswith("untuned")]
    assert lines
    assert all("at 21 forwards per image" in line for line in lines)
    assert not [line for line in headlines(small) if line.startswith("untuned")]


def test_without_tuning_there_is_no_section(small: EvaluationResults) -> None:
    assert "the guard without tuning" not in render_report(small)
