"""Does tuning help? The guard without it, beside the guard with it, on the same images and attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.channels import Trials, all_columns
from detector.evaluation.results import ScorerResult, TuningResult

if TYPE_CHECKING:
    from detector.evaluation.material import Material


def tuning_result(material: Material) -> TuningResult | None:
    """The decisions, and the guard without them; None where there are none.

    The guard without is fitted on the same images and attacks, calibrated on the same, and judged by the same: only
    what was chosen differs.
    """
    if material.tuning is None:
        return None
    material.progress.note("the guard without tuning, on the same images")
    plain = material.untuned
    trials, columns = Trials(plain), all_columns(plain.measured.benign)
    figures, judge, _ = trials.detected(columns)
    result = ScorerResult(
        name="the guard without tuning",
        source="",
        needs_attacks=bool(plain.measured.attacked),
        forwards_per_image=plain.detector.bundle.manifest.plan.forwards_per_image,
        milliseconds_per_image=plain.milliseconds,
        attacks=figures,
        left_out=trials.left_out(columns, figures),
        false_positives=judge.false_positives(),
    )
    return TuningResult(
        decisions=[one.to_json() for one in material.tuning.decisions],
        missing=material.tuning.missing,
        untuned=result,
    )
