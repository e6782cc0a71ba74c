"""How much a class's own scores count against those of all: the prior strength of the conformal p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.calibration.stratifying import draw_strata
from detector.calibration.tuning.decisions import Subject, Tried, TuningDecision, decide
from detector.calibration.tuning.quality import jackknifed
from detector.conformal import ConformalCalibration, smallest_p_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detector.calibration.measuring import Measurements
    from detector.calibration.tuning.evidence import Evidence, Profiles
    from detector.classifiers.base import Float32Array
    from detector.strata import Strata

_GROUPS = 10
_SPLITS = 20
_FEWEST = 10  # images of a class, for its rate to count


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """What scorers say of images that had no part in their fit.

    Args:
        benign: float32 (n,), scores, each by the one of two scorers that was fitted on the other half.
        images: int64 (n,), which images they are.
        half: int64 (n,), 0 or 1: the half each is in.
        attacked: Per attack, scores and images of its successes, likewise.
        attacked_half: Per attack the half that each was made from.
    """

    benign: Float32Array
    images: NDArray[np.int64]
    half: NDArray[np.int64]
    attacked: Mapping[str, tuple[Float32Array, NDArray[np.int64]]]
    attacked_half: Mapping[str, NDArray[np.int64]]


def cross_fitted(evidence: Evidence) -> CrossFitted:
    """Fit the guard's scorer on each half of the images that fit it, every attack in training, and score the other."""
    order = np.random.default_rng(evidence.seed).permutation(np.unique(evidence.benign.images))
    second = order[len(order) // 2 :]
    scorers = [evidence.scorer(evidence.all_columns, held_out=part) for part in (order[: len(order) // 2], second)]

    def scored(profiles: Profiles) -> tuple[Float32Array, NDArray[np.int64]]:
        half = np.isin(profiles.images, second).astype(np.int64)
        both = [scorer.score(profiles.features) for scorer in scorers]
        return np.where(half == 0, *both).astype(np.float32), half

    benign, half = scored(evidence.benign)
    attacked = {name: (*scored(one), one.images) for name, one in evidence.attacked.items() if len(one.images)}
    return CrossFitted(
        benign,
        evidence.benign.images,
        half,
        {name: (scores, images) for name, (scores, _, images) in attacked.items()},
        {name: which for name, (_, which, _) in attacked.items()},
    )


def decide_prior_strength(
    measured: Measurements, scored: CrossFitted, candidates: Sequence[float]
) -> tuple[TuningDecision, float]:
    """Choose the prior strength with which the worst class's realised rate comes nearest to what is promised.

    It is measured on images that fit the scorer alone: half of each half's scores take the place of the calibration
    images, and the others are judged by them. So the p-values that are calibrated later owe nothing to the images that
    calibrate them, and the promise holds as for a prior strength that somebody wrote down.

    Args:
        measured: Under the options that were chosen so far.
        scored: Benign scores, each by a scorer that did not see its image.
        candidates: Prior strengths, images; the one of the options is tried with them.
    """
    options, standing = measured.options, measured.options.prior_strength
    tried = sorted({*candidates, standing})
    logits = measured.logits[scored.images]
    # As many strata as the images that take the calibration images' place allow: half of each half.
    strata, _ = draw_strata(logits, max(1, len(logits) // 4), options)
    trials = _Trials(scored, logits, strata, rate=options.rates.suspect, seed=options.seed)
    groups = np.random.default_rng(options.seed).permutation(len(logits)) % _GROUPS
    counts = _expected(measured, logits)
    everyone = np.ones(len(logits), bool)
    found = [
        Tried(
            _named(strength),
            measured.plan.forwards_per_image,
            jackknifed(
                trials.kept(strength, everyone),
                [trials.kept(strength, groups != group) for group in range(_GROUPS)],
            ),
            _out_of_reach(counts, strength, options.rates.adversarial),
        )
        for strength in tried
    ]
    if all(one.barred for one in found):  # too few images for any: the user is warned of it elsewhere
        found = [Tried(one.name, one.forwards, one.quality) for one in found]
    decision = decide(
        Subject.THRESHOLDS,
        found,
        standing=_named(standing),
        measure=f"1 - the largest distance of a class's realised false-positive rate from {options.rates.suspect:.0%}",
        images=f"{len(logits)} that fit the scorer, scored by one that did not see them",
    )
    return decision, tried[[one.name for one in found].index(decision.chosen)]


def _named(strength: float) -> str:
    return "each class by itself" if strength == 0 else f"a pool that counts as {strength:g} images of the class"


def _expected(measured: Measurements, logits: Float32Array) -> NDArray[np.int64]:
    """int64 (strata, classes): the calibration images to be expected, from the logits of images that fit."""
    calibrating = len(measured.split.calibration)
    strata, _ = draw_strata(measured.logits[measured.split.fit], calibrating, measured.options)
    return np.rint(strata.counts(logits) * calibrating / len(logits)).astype(np.int64)


def _out_of_reach(counts: NDArray[np.int64], strength: float, rate: float) -> str:
    """Why a class could then not be judged ADVERSARIAL; empty where all can."""
    smallest = smallest_p_values(counts, strength)[counts > 0].max()
    return f"a class's p-values would end at {smallest:.2g}" if smallest > rate else ""


class _Trials:
    """Random halves of the scores: one calibrates, the other is judged."""

    def __init__(self, scored: CrossFitted, logits: Float32Array, strata: Strata, *, rate: float, seed: int) -> None:
        self._scored, self._logits, self._strata, self._rate = scored, logits, strata, rate
        self._classes = logits.argmax(axis=1)
        generator = np.random.default_rng(seed)
        self._splits = [generator.random(len(logits)) < 1 / 2 for _ in range(_SPLITS)]

    def kept(self, strength: float, among: NDArray[np.bool_]) -> float:
        """1 - the largest distance of a class's realised rate from the target, over all splits' mean."""
        return 1 - float(np.mean([self._distance(strength, split, among) for split in self._splits]))

    def _distance(self, strength: float, calibrates: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
        flagged, judged = np.zeros(self._classes.max() + 1), np.zeros(self._classes.max() + 1)
        for half in (0, 1):
            ours = among & (self._scored.half == half)
            reference, test = ours & calibrates, ours & ~calibrates
            if not reference.any() or not test.any():
                continue
            benign, logits = self._scored.benign, self._logits
            calibration = ConformalCalibration.of(benign[reference], logits[reference], self._strata, strength)
            difficulty = self._strata.difficulty(logits[test])
            p_values = calibration.p_values(benign[test], self._classes[test], difficulty)
            np.add.at(flagged, self._classes[test], p_values <= self._rate)
            np.add.at(judged, self._classes[test], 1)
        enough = judged >= min(_FEWEST, judged.max())
        return float(np.abs(flagged[enough] / judged[enough] - self._rate).max())
