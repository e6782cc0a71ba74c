"""New thresholds: conformal calibration by one part of the sample, as calibration does it, checked on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.calibration.checks import check_classes_reach, smallest_calibration
from detector.calibration.options import CalibrationOptions
from detector.calibration.stratifying import draw_strata
from detector.conformal import ConformalCalibration
from detector.reporting import numbers
from detector.transfer.evidence import Finding, Subject
from detector.transfer.rates import flagged_rate, targets

if TYPE_CHECKING:
    from detector.metrics import RealisedRate
    from detector.transfer.measuring import TransferMeasurements


@dataclass(frozen=True, eq=False)
class NewThresholds:
    """Thresholds for the new classifier.

    Args:
        calibration: Scores of the images that set them.
        realised: By verdict, its rate on the images that did not.
        warnings: Of strata and classes that have too few images.
    """

    calibration: ConformalCalibration
    realised: dict[str, RealisedRate]
    warnings: tuple[str, ...]


def room_finding(measured: TransferMeasurements) -> Finding:
    """Whether the sample has images enough to set thresholds by."""
    options = _options(measured)
    needed, there = smallest_calibration(options), len(measured.split.calibration)
    rate = numbers.target(options.rates.adversarial)
    return Finding(
        subject=Subject.ROOM,
        sentence=f"{there} images of the sample can set new thresholds; a rate of {rate} needs {needed}",
        figure=there,
        bar=needed,
        wanted=f"at least {needed} images",
        holds=there >= needed,
    )


def new_thresholds(measured: TransferMeasurements) -> NewThresholds:
    """Set thresholds by one part of the sample, and measure their rates on the other."""
    options = _options(measured)
    setting, checking = (measured.new.take(rows) for rows in (measured.split.calibration, measured.split.fit))
    assert setting.scores is not None, "only what was scored sets thresholds"
    assert checking.scores is not None, "likewise"
    strata, warnings = draw_strata(checking.logits, len(setting.scores), options)
    calibration = ConformalCalibration.of(setting.scores, setting.logits, strata, options.prior_strength)
    p_values = calibration.p_values(checking.scores, checking.predicted, strata.difficulty(checking.logits))
    labels = measured.bundle.manifest.labels
    return NewThresholds(
        calibration,
        {verdict.value: flagged_rate(p_values, target) for verdict, target in targets(options.rates)},
        (*warnings, *check_classes_reach(calibration.counts(len(labels)), labels, options)),
    )


def new_rate_findings(measured: TransferMeasurements, thresholds: NewThresholds) -> list[Finding]:
    """Rates at the new thresholds, for people to read: they have no say, for they are what they are made to be."""
    return [
        Finding(
            subject=Subject.NEW_RATE,
            detail=verdict.value,
            sentence=(
                f"at thresholds set by {len(thresholds.calibration.scores)} of the images, {numbers.realised(rate)} of "
                f"the {rate.total} others are flagged {verdict.value}; the target is {numbers.target(target)}"
            ),
            figure=rate.rate,
            low=rate.low,
            high=rate.high,
            bar=target,
        )
        for verdict, target in targets(measured.bundle.manifest.rates)
        for rate in (thresholds.realised[verdict.value],)
    ]


def _options(measured: TransferMeasurements) -> CalibrationOptions:
    """What calibration would be told of rates, pooling and strata."""
    manifest = measured.bundle.manifest
    known = manifest.calibration
    return CalibrationOptions(
        rates=manifest.rates,
        prior_strength=known.prior_strength,
        strata=len(known.images_per_stratum),
        proxy=known.proxy,
    )
