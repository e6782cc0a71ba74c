"""One report, written once, that these tests look at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.evaluation.report import render_report
from tests.support.pages import Page, read_page
from tests.support.results import realistic_results

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults


@pytest.fixture(scope="session")
def results() -> EvaluationResults:
    """Everything filled in."""
    return realistic_results()


@pytest.fixture(scope="session")
def small(results: EvaluationResults) -> EvaluationResults:
    """The same with little of everything: quickly drawn."""
    return replace(
        results,
        attacks=results.attacks[:2],
        channels=results.channels[:1],
        peers=results.peers[:1],
        controls=results.controls[:1],
        classes=results.classes[:1],
        adaptive=results.adaptive[:1],
        examples=results.examples[:1],
    )


@pytest.fixture(scope="session")
def plain(small: EvaluationResults) -> EvaluationResults:
    """Benign images and attacks only."""
    return replace(small, channels=(), peers=(), controls=(), adaptive=(), examples=())


@pytest.fixture(scope="session")
def report(results: EvaluationResults) -> str:
    return render_report(results)


@pytest.fixture(scope="session")
def small_report(small: EvaluationResults) -> str:
    return render_report(small)


@pytest.fixture(scope="session")
def page(report: str) -> Page:
    return read_page(report)
