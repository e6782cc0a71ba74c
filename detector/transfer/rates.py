"""Realised false-positive rates: how often benign images are flagged, with exact intervals, and whether that says much.

A rate that is consistent with a target is no evidence if the sample is so small that everything is. So a rate counts
only where the sample could tell the target from a few times the target.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.metrics import RealisedRate, realised_rate, realised_share
from detector.reporting import numbers
from detector.transfer.evidence import Finding, Subject
from detector.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.transfer.measuring import TransferMeasurements
    from detector.verdicts import TargetRates

_FEWEST_OF_A_CLASS: Final = 10
WORST: Final = "worst class"
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class ClassRate:
    """The class whose rate is surest to be high.

    Args:
        label: Its name.
        rate: Its realised rate; the interval holds for all classes together with 95 %.
    """

    label: str
    rate: RealisedRate


def rate_findings(measured: TransferMeasurements) -> list[Finding]:
    """Rates at the old thresholds: of the new classifier, and of the old one on the same images."""
    if measured.misfit is not None:
        return [Finding(subject=Subject.RATE, sentence=f"no rate can be measured: {measured.misfit}")]
    before, after = (measured.p_values(walked) for walked in (measured.old, measured.new))
    rates = measured.bundle.manifest.rates
    found = []
    for verdict, target in targets(rates):
        found.append(_global(measured, verdict.value, target, before, after))
    found.append(_worst(measured, rates.suspect, before, after))
    return found


def targets(rates: TargetRates) -> tuple[tuple[Verdict, float], ...]:
    """Each verdict that flags, with its target rate."""
    return (Verdict.SUSPECT, rates.suspect), (Verdict.ADVERSARIAL, rates.adversarial)


def flagged_rate(p_values: NDArray[np.float64], target: float) -> RealisedRate:
    """How often p-values (N,), N >= 1, are at or below a target rate."""
    return realised_share(p_values <= target)


@cache
def decidable_from(target: float, factor: float) -> int:
    """The fewest images that tell a target rate from `factor` times it.

    That is: where the target itself is realised, the upper end of the interval is at most `factor` times the target.
    """
    if factor * target >= 1:
        return math.ceil(1 / target)
    enough = (math.ceil(k / target) for k in itertools.count(1))
    return next(n for n in enough if realised_rate(round(target * n), n).high <= factor * target)


def worst_class(
    p_values: NDArray[np.float64], predicted: NDArray[np.int64], target: float, labels: Sequence[str]
) -> ClassRate | None:
    """The class, as predicted, whose rate is surest to be high; None where none has ten images."""
    counts = np.bincount(predicted, minlength=len(labels))
    counted = np.flatnonzero(counts >= _FEWEST_OF_A_CLASS)
    if not len(counted):
        return None
    confidence = 1 - (1 - _CONFIDENCE) / len(counted)  # of all of them together (Bonferroni)
    rates = {
        int(label): realised_rate(int((p_values[predicted == label] <= target).sum()), int(counts[label]), confidence)
        for label in counted
    }
    worst = max(rates, key=lambda label: (rates[label].low, rates[label].rate))
    return ClassRate(labels[worst], rates[worst])


def _global(
    measured: TransferMeasurements,
    verdict: str,
    target: float,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> Finding:
    old, new = flagged_rate(before, target), flagged_rate(after, target)
    factor = measured.options.rate_factor
    needed = decidable_from(target, factor)
    enough = new.total >= needed
    sentence = (
        f"{numbers.realised(new)} of {new.total} benign images are flagged {verdict} at the old threshold, "
        f"{numbers.realised(old)} under the old classifier; the target is {numbers.target(target)}"
    )
    if not enough:
        sentence += (
            f". So few images can't tell {numbers.target(target)} from {numbers.target(factor * target)}: at least "
            f"{needed} are needed, so this has no say"
        )
    return Finding(
        subject=Subject.RATE,
        detail=verdict,
        sentence=sentence,
        figure=new.rate,
        low=new.low,
        high=new.high,
        bar=target,
        wanted=f"at most {numbers.target(target)}, or not surely above it",
        holds=new.low <= target if enough else None,
    )


def _worst(
    measured: TransferMeasurements, target: float, before: NDArray[np.float64], after: NDArray[np.float64]
) -> Finding:
    labels = measured.bundle.manifest.labels
    old = worst_class(before, measured.old.predicted, target, labels)
    new = worst_class(after, measured.new.predicted, target, labels)
    if new is None:
        return Finding(
            subject=Subject.RATE,
            detail=WORST,
            sentence=f"no class is predicted for {_FEWEST_OF_A_CLASS} images, so rates of classes are not told",
        )
    bar = measured.options.rate_factor * target
    beside = f"; under the old classifier '{old.label}', {numbers.realised(old.rate)}" if old else ""
    return Finding(
        subject=Subject.RATE,
        detail=WORST,
        sentence=(
            f"of images predicted as '{new.label}' {numbers.realised(new.rate)} are flagged {Verdict.SUSPECT.value} "
            f"({new.rate.total} images; the interval allows for looking at every class){beside}"
        ),
        figure=new.rate.rate,
        low=new.rate.low,
        high=new.rate.high,
        bar=bar,
        wanted=f"at most {numbers.target(bar)}, or not surely above it",
        holds=new.rate.low <= bar,
    )
