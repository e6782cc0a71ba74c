"""Guards of several classifiers on the same images, compared in pairs.

Same labels and seed give the same split, so all are calibrated on the same images and tested on the same others; each
classifier is attacked by itself. Whatever is counted belongs to a test image: the images are drawn again and again,
for all guards alike, and the differences between guards are taken draw by draw. So the intervals are narrow where two
guards are right and wrong about the same images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.evaluation.channels import Trials, all_columns
from detector.metrics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.material import Material

    Figures = Mapping[str, Estimate]

ACCURACY: Final = "accuracy"
ALARMS: Final = "false alarms"
AUROC: Final = "AUROC"
TPR: Final = "caught"
LEFT_AUROC: Final = "AUROC, kin left out"
LEFT_TPR: Final = "caught, kin left out"
MOVED: Final = "moved"
EVADED: Final = "evaded"
FIGURES: Final[Mapping[str, str]] = {
    ACCURACY: "benign test images classified correctly",
    ALARMS: "benign test images flagged as SUSPECT, as calibrated",
    AUROC: "mean over attacks, of their successes against benign test images",
    TPR: "mean over attacks, of their successes flagged where as many benign test images are as the SUSPECT rate says",
    LEFT_AUROC: "the same, each attack by a scorer that saw nothing of its kin",
    LEFT_TPR: "the same",
    MOVED: "mean over attacks, of the images attacked, those misclassified",
    EVADED: "mean over attacks, of the images attacked, those misclassified and not so flagged, by a scorer that saw "
    "nothing of the attack's kin",
}
"""What is compared, and what it means; all 0..1."""
BETTER: Final = {ALARMS: False, MOVED: False, EVADED: False}
"""Figures that are better when they are lower."""
_FEWEST = 2  # successes of an attack, for an AUROC
_DRAWS = 2000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Successes:
    """One attack's successes as one scorer sees them.

    Args:
        sources: int64 (M,), which test image each was made from.
        scores: float32 (M,).
        benign: float32 (N,), the scorer's scores of all benign test images.
    """

    sources: NDArray[np.int64]
    scores: Float32Array
    benign: Float32Array

    def flagged(self, weights: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
        """Which are flagged where as many benign images are: (draws, M).

        Guards are compared at the same share of false alarms on the very images that test them. What their calibration
        promises holds on average, and a guard that happens to flag more of these would look better for it.

        Args:
            weights: float64 (draws, N), of the benign test images.
            rate: Share of them that is flagged, at most.
        """
        order = np.argsort(-self.benign, kind="stable")
        above = np.cumsum(weights[:, order], axis=1) / weights.sum(1, keepdims=True)
        first_spared = np.minimum((above <= rate).sum(1), len(order) - 1)
        return self.scores > self.benign[order[first_spared]][:, None]


@dataclass(frozen=True, eq=False)
class GuardAnswers:
    """All that a guard said of the test images, as they are and attacked.

    Args:
        right: bool (N,), which benign test images are classified correctly.
        alarms: bool (N,), which of them are flagged as SUSPECT.
        rate: The SUSPECT rate.
        tried: Which test images each attack was run on, int64.
        included: Per attack, as the guard sees its successes.
        left_out: The same, by scorers that saw nothing of the attack's kin.
        forwards: Of the classifier per image.
        milliseconds: Per image, on this machine.
    """

    right: NDArray[np.bool_]
    alarms: NDArray[np.bool_]
    rate: float
    tried: Mapping[str, NDArray[np.int64]]
    included: Mapping[str, Successes]
    left_out: Mapping[str, Successes]
    forwards: int
    milliseconds: float


def guard_answers(material: Material) -> GuardAnswers:
    """Calibrate a guard, attack it, and gather what it says.

    Raises:
        CalibrationError: As for `Material`, and where there are too few images.
        MissingExtraError: The attack libraries are not installed.
    """
    trials, rates = Trials(material), material.detector.bundle.manifest.rates
    columns = all_columns(material.benign.features)
    included = _successes(material, trials, columns, None)
    left_out = dict(included)
    for kin in trials.kins:
        left_out |= _successes(material, trials, columns, kin)
    return GuardAnswers(
        right=material.right,
        alarms=material.benign.detection.p_values <= rates.suspect,
        rate=rates.suspect,
        tried={name: material.targets[: attack.tried] for name, attack in material.attacked.items()},
        included=included,
        left_out=left_out,
        forwards=material.detector.bundle.manifest.plan.forwards_per_image,
        milliseconds=material.milliseconds,
    )


def _successes(
    material: Material, trials: Trials, columns: NDArray[np.int64], without: str | None
) -> dict[str, Successes]:
    attacked, judge, _ = trials.graded(columns, without)
    return {
        name: Successes(
            sources=material.targets[material.attacked[name].rows],
            scores=graded.scores,
            benign=judge.benign.scores,
        )
        for name, graded in attacked.items()
    }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Guards on the same test images.

    Args:
        figures: By the guard's name, what `FIGURES` lists, with 95 % intervals.
        attacks: Those that moved enough images of every guard for an AUROC.
        images: Benign test images.
        draws: By the guard's name and the figure's, float64 (draws + 1,): the figure itself, and that of each draw of
            test images, the same draws for all guards.
    """

    figures: Mapping[str, Figures]
    attacks: tuple[str, ...]
    images: int
    draws: Mapping[str, Mapping[str, NDArray[np.float64]]]

    def difference(self, guard: str, other: str) -> Figures:
        """By how much one guard's figures pass another's, with 95 % intervals of the difference draw by draw."""
        return {name: _estimate(values - self.draws[other][name]) for name, values in self.draws[guard].items()}


def compare(guards: Mapping[str, Sequence[GuardAnswers]], *, seed: int, draws: int = _DRAWS) -> Comparison:
    """Compare guards.

    Args:
        guards: By name; of several answers under one name, of guards made alike, the mean of each figure is taken.
        seed: Of the draws.
        draws: Of test images, with replacement.

    Raises:
        AnalysisError: No attack moved enough images of every guard.
    """
    everyone = [answers for group in guards.values() for answers in group]
    count = len(everyone[0].right)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    weights = np.concatenate([np.ones((1, count)), drawn])
    names = sorted({name for answers in everyone for name in answers.tried})
    common = tuple(name for name in names if all(_moved(answers, name) >= _FEWEST for answers in everyone))
    if not common:
        raise AnalysisError(f"no attack moved {_FEWEST} images of every guard, so there is nothing to compare them by")
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for guard, group in guards.items():
        each = [_figures(answers, weights, names, common) for answers in group]
        found[guard] = {name: np.mean([one[name] for one in each], axis=0) for name in FIGURES}
    figures = {guard: {name: _estimate(v) for name, v in values.items()} for guard, values in found.items()}
    return Comparison(figures, common, count, found)


def _moved(answers: GuardAnswers, name: str) -> int:
    return len(answers.included[name].sources) if name in answers.included else 0


def _figures(
    answers: GuardAnswers, weights: NDArray[np.float64], names: Sequence[str], common: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Each figure for each row of weights of the test images."""
    total = weights.sum(1)
    return {
        ACCURACY: weights @ answers.right / total,
        ALARMS: weights @ answers.alarms / total,
        AUROC: _mean(_auroc(answers.included[name], weights) for name in common),
        TPR: _mean(_caught(answers.included[name], weights, answers.rate) for name in common),
        LEFT_AUROC: _mean(_auroc(answers.left_out[name], weights) for name in common),
        LEFT_TPR: _mean(_caught(answers.left_out[name], weights, answers.rate) for name in common),
        MOVED: _mean(_share(answers, name, weights, rate=0) for name in names),
        EVADED: _mean(_share(answers, name, weights, rate=answers.rate) for name in names),
    }


def _auroc(attack: Successes, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    above = (attack.scores[:, None] > attack.benign).astype(float)
    above += 0.5 * (attack.scores[:, None] == attack.benign)
    of_attacked = weights[:, attack.sources]
    pairs = ((of_attacked @ above) * weights).sum(1)
    return _ratio(pairs, of_attacked.sum(1) * weights.sum(1))


def _caught(attack: Successes, weights: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    of_attacked = weights[:, attack.sources]
    return _ratio((of_attacked * attack.flagged(weights, rate)).sum(1), of_attacked.sum(1))


def _share(answers: GuardAnswers, name: str, weights: NDArray[np.float64], *, rate: float) -> NDArray[np.float64]:
    """Of the images attacked, those misclassified and not flagged at a rate; at 0, all that are misclassified."""
    if name not in answers.tried:  # it moved none
        return np.zeros(len(weights))
    attack = answers.left_out[name]
    of_attacked = weights[:, attack.sources]
    if rate:
        of_attacked = of_attacked * ~attack.flagged(weights, rate)
    return _ratio(of_attacked.sum(1), weights[:, answers.tried[name]].sum(1))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ratio; NaN where a draw has none of the images."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _mean(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Over attacks, those that a draw has images of."""
    table = np.array(list(values))
    there = ~np.isnan(table)
    return _ratio(np.where(there, table, 0).sum(0), there.sum(0).astype(float))


def _estimate(draws: NDArray[np.float64]) -> Estimate:
    low, high = np.nanpercentile(draws[1:], _INTERVAL)
    return Estimate(float(draws[0]), float(low), float(high))
