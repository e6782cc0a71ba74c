"""A few examples that tell of which architecture a run is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import f_oneway

from detector.errors import AnalysisError
from detector.metrics import mean_estimate, realised_rate
from detector.research.difficulty.bias import welch
from detector.research.difficulty.intervals import clipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.metrics import Estimate, RealisedRate

LEAST_RUNS: Final = 4
"""Two to learn from and two to ask, of each architecture."""
_TWO = 2


@dataclass(frozen=True, kw_only=True)
class FingerprintOptions:
    """How a fingerprint is tried.

    Args:
        sizes: Numbers of examples, rising; odd ones have no ties between two architectures.
        splits: Of the runs into those it is learnt from and those that are asked, drawn at random.
        random: Draws of as many random examples, for each split.
        seed: Of all draws.

    Raises:
        AnalysisError: A value is out of range.
    """

    sizes: tuple[int, ...] = (1, 3, 9, 33)
    splits: int = 50
    random: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or self.sizes[0] < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise AnalysisError(f"fingerprint: sizes must rise from 1 or more, not {list(self.sizes)}")
        if self.splits < 1 or self.random < 1:
            raise AnalysisError("fingerprint: splits and random must be at least 1")


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """How often runs that were not learnt from are told right.

    Args:
        sizes: Numbers of examples.
        selected: float64 (runs, sizes): for each run that was ever asked, one architecture after the other, the share
            of splits in which it was asked and told right, by the examples that differ most between the runs learnt
            from. A tie between architectures counts for its share.
        random: The same by random examples, the mean of their draws.
        by_split: float64 (splits, sizes): the accuracy of each split by selected examples, on all runs that it asked.
        told: float64 (architectures, architectures, sizes): ``[a, b]`` is the share in which runs of a are told to be
            of b, by selected examples; rows sum to 1.
        chosen: int64 (largest size,): the examples that all runs together would choose, the most telling first.
    """

    sizes: tuple[int, ...]
    selected: NDArray[np.float64]
    random: NDArray[np.float64]
    by_split: NDArray[np.float64]
    told: NDArray[np.float64]
    chosen: NDArray[np.int64]

    @property
    def chance(self) -> float:
        """The accuracy of guesses."""
        return 1 / len(self.told)

    def accuracy(self, *, random: bool = False) -> list[Estimate]:
        """Of each size, the mean over runs with its 95 % interval, within 0..1."""
        values = self.random if random else self.selected
        return [clipped(mean_estimate(column), 0.0, 1.0) for column in values.T]

    def recognised(self, size: int) -> RealisedRate:
        """How many runs are told right in most of the splits in which they are asked, with the exact interval.

        It is what says how sure an accuracy of 1 is, which has no spread over runs.

        Raises:
            AnalysisError: This size was not tried.
        """
        column = self.selected[:, self.place(size)]
        return realised_rate(int((column > 0.5).sum()), len(column))  # noqa: PLR2004 - most

    def place(self, size: int) -> int:
        """Where a size stands.

        Raises:
            AnalysisError: This size was not tried.
        """
        if size not in self.sizes:
            raise AnalysisError(f"fingerprint: {size} examples were not tried, only {list(self.sizes)}")
        return self.sizes.index(size)


def fingerprint(groups: Sequence[NDArray[np.float64]], options: FingerprintOptions) -> Fingerprint:
    """Choose telling examples by half of the runs, and tell the other half by them; again and again.

    Each chosen example votes for the architecture whose runs have the nearest mean of its score - of two, that is the
    side of the mid-point - and most votes win.

    Args:
        groups: For each architecture, float64 (runs, examples) of one score, such as percentiles; of one shape.
        options: How.

    Raises:
        AnalysisError: There are fewer than two architectures, too few runs or examples, or the shapes differ.
    """
    _check(groups, options)
    runs, examples = groups[0].shape
    most, truth = options.sizes[-1], np.repeat(np.arange(len(groups)), runs - runs // 2)
    columns = [size - 1 for size in options.sizes]
    rng = np.random.default_rng(options.seed)
    shape = (len(groups) * runs, len(columns))
    asked, selected, random = np.zeros(shape[0]), np.zeros(shape), np.zeros(shape)
    told = np.zeros((len(groups), len(groups), len(columns)))
    by_split = []
    for _ in range(options.splits):
        orders = [rng.permutation(runs) for _ in groups]
        learnt = [group[order[: runs // 2]] for group, order in zip(groups, orders, strict=True)]
        held_out = np.concatenate([group[order[runs // 2 :]] for group, order in zip(groups, orders, strict=True)])
        rows = np.concatenate([number * runs + order[runs // 2 :] for number, order in enumerate(orders)])
        chosen = most_telling(learnt, most)
        by_chosen = verdicts(_votes(learnt, held_out, chosen))[:, columns]
        drawn = np.stack([rng.choice(examples, most, replace=False) for _ in range(options.random)])
        by_drawn = verdicts(_votes(learnt, held_out, drawn))[:, :, columns].mean(axis=1)
        asked[rows] += 1
        by_split.append(by_chosen[np.arange(len(rows)), :, truth])
        selected[rows] += by_split[-1]
        random[rows] += by_drawn[np.arange(len(rows)), :, truth]
        for number in range(len(groups)):
            told[number] += by_chosen[truth == number].mean(axis=0).T
    seen = asked > 0
    return Fingerprint(
        sizes=options.sizes,
        selected=selected[seen] / asked[seen, None],
        random=random[seen] / asked[seen, None],
        by_split=np.array(by_split).mean(axis=1),
        told=told / options.splits,
        chosen=most_telling(groups, most),
    )


def most_telling(groups: Sequence[NDArray[np.float64]], count: int) -> NDArray[np.int64]:
    """The examples on which runs of different architectures differ most, for how much runs of one differ.

    Args:
        groups: For each architecture, float64 (runs, examples).
        count: How many.

    Returns:
        int64 (count,): examples of largest absolute Welch t between two architectures, of largest F (one-way analysis
        of variance) between more; the largest first.
    """
    if len(groups) == _TWO:
        size = np.abs(welch(*groups)[0])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of examples on which all runs agree; SciPy's own and NumPy's
            size = np.nan_to_num(f_oneway(*groups, axis=0).statistic, nan=0.0, posinf=np.inf)
    return np.argsort(-size, kind="stable")[:count]


def verdicts(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """What 1, 2, ... examples say together.

    Args:
        votes: float64 (..., examples, architectures): each example's vote, a share for every architecture.

    Returns:
        float64 (..., examples, architectures): at place k - 1 the share of each architecture among those that have most
        votes of the first k examples: 1 for a clear winner.
    """
    counted = votes.cumsum(axis=-2)
    first = counted >= counted.max(axis=-1, keepdims=True) - 1e-9  # thirds of votes don't sum exactly
    return first / first.sum(axis=-1, keepdims=True)


def _votes(
    learnt: Sequence[NDArray[np.float64]], held_out: NDArray[np.float64], examples: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of runs (runs, N) the votes of examples (...): (runs, ..., architectures); a tie is a half for each."""
    distances = np.stack([np.abs(held_out[:, examples] - group.mean(axis=0)[examples]) for group in learnt], axis=-1)
    nearest = distances == distances.min(axis=-1, keepdims=True)
    return nearest / nearest.sum(axis=-1, keepdims=True)


def _check(groups: Sequence[NDArray[np.float64]], options: FingerprintOptions) -> None:
    if len(groups) < _TWO:
        raise AnalysisError(f"fingerprint: {_TWO} architectures are needed, not {len(groups)}")
    if len({group.shape for group in groups}) > 1:
        shapes = ", ".join(str(group.shape) for group in groups)
        raise AnalysisError(f"fingerprint: architectures must have as many runs and examples, not {shapes}")
    runs, examples = groups[0].shape
    if runs < LEAST_RUNS:
        raise AnalysisError(f"fingerprint: {LEAST_RUNS} runs of each architecture are needed, not {runs}")
    if examples < options.sizes[-1]:
        raise AnalysisError(f"fingerprint: {options.sizes[-1]} examples can't be chosen of {examples}")
