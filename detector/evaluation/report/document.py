"""The whole page, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.evaluation.report import (
    adaptive,
    behaviour,
    closing,
    comparison,
    detection,
    difficulty,
    examples,
    summary,
    tuning,
)
from detector.reporting.document import document

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults

_TITLE: Final = "Isthmus evaluation"


def render_report(results: EvaluationResults) -> str:
    """Write the report: one HTML file that loads nothing, the same for the same results.

    Args:
        results: Everything the evaluation found; lists may be empty.

    Returns:
        The file's text.
    """
    sections = [
        summary.headline(results),
        summary.verdicts(results),
        detection.attacks(results),
        detection.roc(results),
        detection.distributions(results),
        comparison.channels(results),
        comparison.peers(results),
        tuning.tuning(results),
        behaviour.classes(results),
        difficulty.difficulty(results),
        behaviour.controls(results),
        behaviour.barriers(results),
        adaptive.adaptive(results),
        adaptive.tramer(results),
        adaptive.self_checks(results),
        examples.examples(results),
        closing.limits(results),
        closing.facts(results),
        closing.glossary(),
    ]
    return document(_TITLE, summary.summary(results), [section for section in sections if section is not None])
