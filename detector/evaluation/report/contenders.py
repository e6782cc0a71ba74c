"""The guard, its parts and its peers as one kind of thing: how good over all attacks, at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import RealisedRate, realised_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.evaluation.results import Detected, EvaluationResults, ScorerResult, TuningResult

GUARD = "the guard"


class Kind(StrEnum):
    """Whose scorer it is."""

    GUARD = "the guard"
    CHANNEL = "the guard with less evidence"
    PEER = "a peer"


@dataclass(frozen=True, kw_only=True)
class Overall:
    """One scorer over several attacks, every attack counting the same.

    Args:
        mean: AUROC.
        worst: Lowest AUROC.
        worst_attack: Where.
        tpr_suspect: Mean TPR at the SUSPECT rate.
        tpr_adversarial: Mean TPR at the ADVERSARIAL rate.
        attacks: How many.
    """

    mean: float
    worst: float
    worst_attack: str
    tpr_suspect: float
    tpr_adversarial: float
    attacks: int


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A scorer as it stands.

    Args:
        name: To show.
        kind: Whose.
        source: Of a peer.
        needs_attacks: Whether it learns from attacked images.
        forwards: Classifier forwards per image.
        milliseconds: Per image.
        false_positives: On benign test images at the SUSPECT rate; None without such images.
        attacks: Per attack, with the attacks of calibration in training.
        unseen: Per attack, its kin left out of training; the same as `attacks` for what learns from no attack.
    """

    name: str
    kind: Kind
    source: str
    needs_attacks: bool
    forwards: float
    milliseconds: float
    false_positives: RealisedRate | None
    attacks: Mapping[str, Detected]
    unseen: Mapping[str, Detected]

    @cached_property
    def included(self) -> Overall | None:
        """Over `attacks`."""
        return overall(self.attacks)

    @cached_property
    def left_out(self) -> Overall | None:
        """Over `unseen`."""
        return overall(self.unseen)

    def ahead_of(self, other: Contender) -> bool:
        """Whether mean and worst AUROC are better, over the attacks both met.

        Trained with them and without, where the other was tried so.
        """
        return _ahead(self.attacks, other.attacks) and (not other.unseen or _ahead(self.unseen, other.unseen))


def _ahead(ours: Mapping[str, Detected], theirs: Mapping[str, Detected]) -> bool:
    both = ours.keys() & theirs.keys()
    mine, other = (overall({name: one for name, one in some.items() if name in both}) for some in (ours, theirs))
    return mine is not None and other is not None and mine.mean > other.mean and mine.worst > other.worst


def overall(detected: Mapping[str, Detected]) -> Overall | None:
    """Over all attacks of a mapping; None for none."""
    if not detected:
        return None
    worst = min(detected, key=lambda name: detected[name].auroc.value)
    return Overall(
        mean=float(np.mean([one.auroc.value for one in detected.values()])),
        worst=detected[worst].auroc.value,
        worst_attack=worst,
        tpr_suspect=float(np.mean([one.tpr_suspect for one in detected.values()])),
        tpr_adversarial=float(np.mean([one.tpr_adversarial for one in detected.values()])),
        attacks=len(detected),
    )


def guard(results: EvaluationResults) -> Contender:
    """The guard with all its evidence."""
    included = {one.name: one.included for one in results.attacks}
    left_out = {one.name: one.left_out for one in results.attacks if one.left_out is not None}
    return Contender(
        name=GUARD,
        kind=Kind.GUARD,
        source="",
        needs_attacks=bool(left_out),
        forwards=results.forwards_per_image,
        milliseconds=results.milliseconds_per_image,
        false_positives=flagged(results.benign_p_values, results.suspect_rate),
        attacks=included,
        unseen=left_out or included,
    )


def channels(results: EvaluationResults) -> list[Contender]:
    """The guard with ever more evidence."""
    return [_contender(one, Kind.CHANNEL) for one in results.channels]


def untuned(tuning: TuningResult) -> Contender:
    """The guard as it is without tuning."""
    return _contender(tuning.untuned, Kind.GUARD)


def peers(results: EvaluationResults) -> list[Contender]:
    """Other detectors."""
    return [_contender(one, Kind.PEER) for one in results.peers]


def _contender(one: ScorerResult, kind: Kind) -> Contender:
    return Contender(
        name=one.name,
        kind=kind,
        source=one.source,
        needs_attacks=one.needs_attacks,
        forwards=one.forwards_per_image,
        milliseconds=one.milliseconds_per_image,
        false_positives=one.false_positives,
        attacks=one.attacks,
        unseen=one.left_out if one.needs_attacks else one.attacks,
    )


def flagged(p_values: Sequence[float], rate: float) -> RealisedRate | None:
    """How many p-values are at most a rate; None of none."""
    return realised_rate(int(np.sum(np.asarray(p_values) <= rate)), len(p_values)) if len(p_values) else None
