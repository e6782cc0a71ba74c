"""On which examples two architectures differ by more than their runs do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import false_discovery_control, ttest_ind

from detector.errors import AnalysisError
from detector.research.difficulty.grouping import relabellings

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RUNS: Final = 2
_MOST_AT_ONCE = 4_000_000  # numbers, of ways to relabel times examples
_ROUNDING = 1e-9  # what sums in another order may differ by, in units of percentiles


@dataclass(frozen=True, eq=False)
class Difference:
    """How the runs of two architectures differ.

    Args:
        differences: float64 (scores, examples): the first's mean over runs less the second's, in the values' unit.
        welch: float64 (scores, examples): p-values of Welch's t-test, 0..1.
        permuted: float64 (scores, examples): p-values of the permutation test, one score at a time, above 0.
        joint: float64 (examples,): the same of all scores together.
        ways: To deal runs out, among them the one as they are; no p-value is below its inverse.
    """

    differences: NDArray[np.float64]
    welch: NDArray[np.float64]
    permuted: NDArray[np.float64]
    joint: NDArray[np.float64]
    ways: int


@dataclass(frozen=True)
class Significance:
    """How many of some examples are significant, as shares 0..1.

    Args:
        plain: With a p-value up to the level; as many are expected of no difference at all.
        discovered: By Benjamini and Hochberg (1995), whose expected share of false ones is the level.
        certain: By Bonferroni: the chance of a single false one is at most the level.
        line: The largest p-value that is discovered; None where nothing is.
        level: The level.
    """

    plain: float
    discovered: float
    certain: float
    line: float | None
    level: float


def difference(first: NDArray[np.float64], second: NDArray[np.float64], *, permutations: int, seed: int) -> Difference:
    """Test every example by every score, and by all of them.

    The permutation test deals the runs of both out to them anew. Of one score its statistic is the absolute difference
    of means, of all scores the Euclidean norm of the differences across scores, which have to be in one unit: take
    percentiles. The one-sided p-value is the share of ways, the one as they are among them, whose statistic is as
    large or larger.

    Args:
        first: float64 (runs, scores, examples) of one architecture.
        second: The same of another, of the same shape.
        permutations: Most ways besides the one as they are; all of them where there are not more.
        seed: Of their draw.

    Raises:
        AnalysisError: The shapes differ, there are fewer than two runs, or no permutation is asked for.
    """
    if first.shape != second.shape:
        raise AnalysisError(
            f"difficulty: architectures are compared by as many runs, scores and examples, not {first.shape} and "
            f"{second.shape}"
        )
    if len(first) < LEAST_RUNS or permutations < 1:
        raise AnalysisError(
            f"difficulty: a comparison needs {LEAST_RUNS} runs of each architecture and a permutation, not "
            f"{len(first)} and {permutations}"
        )
    dealt = relabellings(len(first), most=permutations, seed=seed)
    weights = np.where(dealt, 1.0, -1.0) / len(first)
    pooled = np.concatenate([first, second])
    size = max(1, _MOST_AT_ONCE // len(weights))
    starts = range(0, pooled.shape[-1], size)
    tested = [_permuted(pooled[..., start : start + size], weights) for start in starts]
    return Difference(
        differences=first.mean(axis=0) - second.mean(axis=0),
        welch=welch(first, second)[1],
        permuted=np.concatenate([one for one, _ in tested], axis=1),
        joint=np.concatenate([joint for _, joint in tested]),
        ways=len(weights),
    )


def welch(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Welch's t and its p-value for runs along the first axis.

    Where no run of either strays from its mean, t is infinite and p is 0 if the means differ; 0 and 1 if they don't.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of runs that agree to the last digit
        found = ttest_ind(first, second, axis=0, equal_var=False)
    alike = np.isnan(found.statistic)
    return np.where(alike, 0.0, found.statistic), np.where(alike, 1.0, found.pvalue)


def significance(p_values: NDArray[np.float64], level: float) -> Significance:
    """How many of the examples with these p-values (N,) are significant at a level, 0..1."""
    discovered = false_discovery_control(p_values) <= level
    return Significance(
        plain=float((p_values <= level).mean()),
        discovered=float(discovered.mean()),
        certain=float((p_values <= level / len(p_values)).mean()),
        line=float(p_values[discovered].max()) if discovered.any() else None,
        level=level,
    )


def _permuted(
    pooled: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p-values of (runs of both, scores, examples): by score, and of all."""
    squares = np.zeros((len(weights), pooled.shape[-1]))
    single = []
    for score in range(pooled.shape[1]):
        drawn = np.abs(weights @ pooled[:, score])
        single.append(_as_large(drawn))
        squares += drawn**2
    return np.array(single), _as_large(np.sqrt(squares))


def _as_large(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of ways (ways, examples) that are as large as the first."""
    share: NDArray[np.float64] = (drawn >= drawn[0] - _ROUNDING).mean(axis=0)
    return share
