"""Evidence from gradients: the barrier between the two networks, and how well the scorer detects an attack on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.attacks.target import AttackTarget
from detector.calibration.attacking import attack_successfully, strong_enough
from detector.errors import AnalysisError, ClassifierError, InvalidInputError, MissingExtraError
from detector.metrics import auroc_estimate
from detector.reporting import numbers
from detector.transfer.alignment import function_barrier
from detector.transfer.evidence import Finding, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.metrics import Estimate
    from detector.paths.straight import Prototypes
    from detector.transfer.alignment import Alignment, FunctionBarrier
    from detector.transfer.measuring import TransferMeasurements

ALIGNED: Final = "error, aligned"
NAIVE: Final = "error, as it is"
LOSS_ALIGNED: Final = "loss, aligned"
LOSS_NAIVE: Final = "loss, as it is"
DROP: Final = "drop"
OLD_CLASSIFIER: Final = "old"
NEW_CLASSIFIER: Final = "new"
_FEWEST: Final = 2  # attacked images, for an interval


def barrier_findings(measured: TransferMeasurements, alignment: Alignment | str) -> list[Finding]:
    """The barrier between the old network and the new one.

    Args:
        measured: What they are measured on.
        alignment: Of the two; or why there is none.
    """
    if isinstance(alignment, str):
        return [_unmeasured(Subject.BARRIER, f"the networks' weights can't be compared: {alignment}")]
    try:
        between = function_barrier(alignment, measured.inputs, measured.split, measured.options, measured.progress)
    except AnalysisError as error:
        return [_unmeasured(Subject.BARRIER, f"the networks' weights can't be compared: {error}")]
    return _barriers(between, alignment.moved, measured.options.error_barrier)


def _barriers(between: FunctionBarrier, moved: float, bar: float) -> list[Finding]:
    aligned, naive = between.aligned, between.naive
    return [
        Finding(
            subject=Subject.BARRIER,
            detail=ALIGNED,
            sentence=(
                f"between the two networks the error rises by {numbers.percent(aligned.error)} at most, once "
                f"the new one's units are put in the old one's order, which moves {numbers.percent(moved)} of them"
            ),
            figure=aligned.error,
            bar=bar,
            wanted=f"below {numbers.target(bar)}",
            holds=aligned.error < bar,
        ),
        _told(LOSS_ALIGNED, aligned.loss, f"likewise the loss, by {numbers.loss(aligned.loss)} nats"),
        _told(NAIVE, naive.error, f"with its units as they are, the error rises by {numbers.percent(naive.error)}"),
        _told(LOSS_NAIVE, naive.loss, f"likewise the loss, by {numbers.loss(naive.loss)} nats"),
    ]


def detection_findings(measured: TransferMeasurements) -> list[Finding]:
    """How well the bundle's scorer tells an attack on either classifier from benign images."""
    inputs, old, new = measured.inputs, measured.old, measured.new
    if measured.misfit is not None or old.scores is None or new.scores is None:
        return [_unmeasured(Subject.DETECTION, f"detection can't be measured: {measured.misfit}")]
    if inputs.old_gradients is None or inputs.new.gradients is None:
        which = OLD_CLASSIFIER if inputs.old_gradients is None else NEW_CLASSIFIER
        return [_unmeasured(Subject.DETECTION, f"detection can't be measured: the {which} classifier has no gradients")]
    rows = np.flatnonzero((old.predicted == measured.labels) & (new.predicted == measured.labels))
    rows = np.random.default_rng(measured.options.seed).permutation(rows)[: measured.options.attack_images]
    if len(rows) < _FEWEST:
        return [_unmeasured(Subject.DETECTION, "detection can't be measured: both classifiers are right on no images")]
    sides = {
        OLD_CLASSIFIER: _Side(inputs.old.classifier, inputs.old_gradients, measured.bundle.parts.prototypes),
        NEW_CLASSIFIER: _Side(inputs.classifier, inputs.new.gradients, measured.prototypes),
    }
    try:
        attack = _strong_enough(measured, sides[OLD_CLASSIFIER], rows)
        attacked = {which: _attacked(measured, side, rows, attack) for which, side in sides.items()}
    except (MissingExtraError, ClassifierError, InvalidInputError) as error:
        return [_unmeasured(Subject.DETECTION, f"detection can't be measured: {error}")]
    few = [which for which, scores in attacked.items() if len(scores) < _FEWEST]
    if few:
        sentence = f"detection can't be measured: {attack.name} moves too few images of the {few[0]} classifier"
        return [_unmeasured(Subject.DETECTION, sentence)]
    benign = {OLD_CLASSIFIER: old.scores, NEW_CLASSIFIER: new.scores}
    found = {which: auroc_estimate(benign[which], scores) for which, scores in attacked.items()}
    drop, bar = found[OLD_CLASSIFIER].value - found[NEW_CLASSIFIER].value, measured.options.detection_drop
    return [
        Finding(
            subject=Subject.DETECTION,
            detail=which,
            sentence=(
                f"the bundle's scorer tells {len(attacked[which])} images of {attack.name} on the {which} classifier "
                f"from benign ones with an AUROC of {numbers.estimate(estimate)}"
            ),
            figure=estimate.value,
            low=estimate.low,
            high=estimate.high,
        )
        for which, estimate in found.items()
    ] + [
        Finding(
            subject=Subject.DETECTION,
            detail=DROP,
            sentence=f"under the new classifier the AUROC changes by {numbers.gain(-drop)}",
            figure=drop,
            bar=bar,
            wanted=f"a drop of at most {bar:g}",
            holds=drop <= bar,
        ),
        _lost(found[OLD_CLASSIFIER], found[NEW_CLASSIFIER], bar),
    ]


def _lost(old: Estimate, new: Estimate, bar: float) -> Finding:
    """Whether detection is worse even where chance helped the old classifier and hurt the new one."""
    surely = old.low - new.high
    return Finding(
        subject=Subject.LOST,
        sentence=(
            f"the lower end of the AUROC's interval before is {numbers.gain(surely)} above its upper end now"
            if surely > 0
            else "the intervals of the AUROC before and now overlap"
        ),
        figure=surely,
        bar=bar,
        wanted=f"at most {bar:g} between the intervals",
        holds=surely <= bar,
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """What is attacked: a classifier, its gradients, and the prototypes with their losses under it."""

    classifier: Classifier
    gradients: TorchClassifier
    prototypes: Prototypes


def _strong_enough(measured: TransferMeasurements, side: _Side, rows: NDArray[np.int64]) -> ThreatModel:
    target = AttackTarget(side.gradients, measured.inputs.canonical()[rows], measured.labels[rows])
    return strong_enough(measured.options.attack, side.classifier, target, seed=measured.options.seed)


def _attacked(
    measured: TransferMeasurements, side: _Side, rows: NDArray[np.int64], attack: ThreatModel
) -> Float32Array:
    """float32 (M,): scores of the sample's images that an attack on one of the classifiers moved."""
    target = AttackTarget(side.gradients, measured.inputs.canonical()[rows], measured.labels[rows])
    with measured.progress.stage(f"Attacking: {attack.name}", len(rows)) as advance:
        seed = measured.options.seed
        moved = attack_successfully(attack, side.classifier, target, seed=seed, on_progress=advance).images
    return measured.scores_of(side.classifier, side.prototypes, moved) if len(moved) else np.empty(0, np.float32)


def _told(detail: str, figure: float, sentence: str) -> Finding:
    return Finding(subject=Subject.BARRIER, detail=detail, sentence=sentence, figure=figure)


def _unmeasured(subject: Subject, sentence: str) -> Finding:
    return Finding(subject=subject, sentence=sentence)
