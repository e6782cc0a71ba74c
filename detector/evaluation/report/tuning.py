"""The section on tuning: what was chosen, and whether that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.calibration.tuning.decisions import TuningDecision
from detector.calibration.tuning.report import tuning_body
from detector.evaluation.report import contenders
from detector.evaluation.report.comparison import COST, QUALITY, cost, quality
from detector.reporting import numbers
from detector.reporting.parts import Section, paragraph, row_head, wide

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults

_NOTE = (
    "The guard of this report was tuned. Below it stands the guard with all its defaults, fitted, calibrated and "
    "tested on the same images and the same attacks."
)


def tuning(results: EvaluationResults) -> Section | None:
    """What was chosen, beside the guard without; None where nothing was to be chosen."""
    if results.tuning is None:
        return None
    decisions = [TuningDecision.from_json(fields) for fields in results.tuning.decisions]
    head = ("guard", *COST, *QUALITY, *QUALITY, "benign images flagged")
    groups = (("", 3), ("attacks included in training", 3), ("kin left out of training", 3), ("", 1))
    rows = [
        [
            row_head(one.name, long=True),
            *cost(one),
            *quality(one.included),
            *quality(one.left_out),
            numbers.realised(one.false_positives),
        ]
        for one in (contenders.guard(results), contenders.untuned(results.tuning))
    ]
    body = tuning_body(decisions, results.tuning.missing)
    return Section.of("tuning", "Tuning", paragraph(_NOTE), wide(head, rows, groups), *body)
