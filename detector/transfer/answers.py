"""Evidence from answers: stored ones, those to the sample, those to the prototypes; and whether the scorer can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import realised_share
from detector.reporting import numbers
from detector.transfer.evidence import Finding, Subject

if TYPE_CHECKING:
    from detector.transfer.measuring import TransferMeasurements


def answer_findings(measured: TransferMeasurements) -> list[Finding]:
    """What the new classifier answers."""
    return [_scorer(measured), _canaries(measured), _agreement(measured), *_accuracies(measured), _prototypes(measured)]


def _scorer(measured: TransferMeasurements) -> Finding:
    features, reason = measured.new.features.shape[1], measured.misfit
    return Finding(
        subject=Subject.SCORER,
        sentence=reason or f"the new classifier gives the {features} features that the scorer reads",
        figure=features,
        bar=measured.scorer.features,
        wanted=f"of {measured.scorer.features} features",
        holds=reason is None,
    )


def _canaries(measured: TransferMeasurements) -> Finding:
    canaries = measured.bundle.canaries
    given = measured.inputs.classifier.logits(canaries.images)
    difference, allowed = canaries.difference(given)
    changed = int((given.argmax(axis=1) != canaries.logits.argmax(axis=1)).sum())
    same = "it is the same function" if difference <= allowed else "it is another function"
    return Finding(
        subject=Subject.CANARIES,
        sentence=(
            f"logits of the bundle's {len(canaries)} stored images differ by {difference:.3g} at most, where "
            f"{allowed:.3g} may be rounding, and {changed} of their labels changed: {same}"
        ),
        figure=difference,
        bar=allowed,
    )


def _agreement(measured: TransferMeasurements) -> Finding:
    same = realised_share(measured.old.predicted == measured.new.predicted)
    return Finding(
        subject=Subject.AGREEMENT,
        sentence=f"both classifiers give the same class to {numbers.realised(same)} of {same.total} images",
        figure=same.rate,
        low=same.low,
        high=same.high,
    )


def _accuracies(measured: TransferMeasurements) -> list[Finding]:
    found = []
    for which, walked in (("old", measured.old), ("new", measured.new)):
        right = realised_share(walked.predicted == measured.labels)
        found.append(
            Finding(
                subject=Subject.ACCURACY,
                detail=which,
                sentence=f"the {which} classifier is right on {numbers.realised(right)} of {right.total} images",
                figure=right.rate,
                low=right.low,
                high=right.high,
            )
        )
    return found


def _prototypes(measured: TransferMeasurements) -> Finding:
    kept, options = measured.kept_prototypes, measured.options
    losses = measured.prototypes.losses
    return Finding(
        subject=Subject.PROTOTYPES,
        sentence=(
            f"{int(kept.sum())} of {kept.size} prototypes are still given their class with a loss of at most "
            f"{options.prototype_loss:g} nats (median loss {numbers.loss(float(np.median(losses)))}, largest "
            f"{numbers.loss(float(losses.max()))})"
        ),
        figure=float(kept.mean()),
        bar=options.kept_share,
        wanted=f"at least {numbers.target(options.kept_share)}",
        holds=bool(kept.mean() >= options.kept_share),
    )
