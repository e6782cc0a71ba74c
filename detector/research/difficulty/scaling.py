"""Scores made comparable: as ranks of examples within a run, or as they are; their correlations are inner products."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from detector.research.difficulty.table import ScoreTable

LEAST_EXAMPLES = 3
"""Without as many, a correlation of ranks says nothing."""


class Scale(StrEnum):
    """What is correlated: ranks (Spearman) or values (Pearson)."""

    RANKS = "ranks"
    VALUES = "values"


@dataclass(frozen=True, eq=False)
class Informative:
    """The scores of an architecture that tell examples apart in every run.

    Args:
        architecture: Which.
        scores: Their names.
        values: float64 (runs, scores, examples).
        left_out: The names of the others: in some run they are the same for all examples, so that they have no ranks.
    """

    architecture: str
    scores: tuple[str, ...]
    values: NDArray[np.float64]
    left_out: tuple[str, ...]

    def of(self, score: str) -> NDArray[np.float64]:
        """One of them: float64 (runs, examples).

        Raises:
            AnalysisError: There is no such score, or it has no ranks in some run.
        """
        if score in self.left_out:
            raise AnalysisError(
                f"difficulty: {score} is the same for all examples in some run of {self.architecture}; take another"
            )
        if score not in self.scores:
            raise AnalysisError(f"difficulty: no score {score!r}; there are {', '.join(self.scores)}")
        return self.values[:, self.scores.index(score)]

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be measured, and why: a sentence for all scores that are left out."""
        if not self.left_out:
            return ()
        names = ", ".join(self.left_out)
        return (f"{self.architecture}: the same for all examples in some run, so left out: {names}",)


def informative(table: ScoreTable, architecture: str, *, least_runs: int = 2) -> Informative:
    """The scores of an architecture that have ranks in every run.

    Args:
        table: All scores.
        architecture: Which.
        least_runs: Without which nothing is to be said.

    Raises:
        AnalysisError: There are too few runs or examples, every score is constant, or there is no such architecture.
    """
    values = table.of(architecture)
    if table.runs < least_runs:
        raise AnalysisError(f"difficulty: {least_runs} runs of each architecture are needed, not {table.runs}")
    if table.examples < LEAST_EXAMPLES:
        raise AnalysisError(f"difficulty: {LEAST_EXAMPLES} examples are needed, not {table.examples}")
    kept = np.asarray(~constant(values).any(axis=0))
    if not kept.any():
        raise AnalysisError(
            f"difficulty: every score of {architecture} is the same for all examples in some run; train longer or "
            "shorter, or take other scores"
        )
    names = tuple(name for name, one in zip(table.scores, kept, strict=True) if one)
    return Informative(architecture, names, values[:, kept], tuple(name for name in table.scores if name not in names))


def informative_each(table: ScoreTable) -> list[Informative]:
    """`informative` of every architecture."""
    return [informative(table, name) for name in table.architectures]


def missing_of(kept: Iterable[Informative]) -> tuple[str, ...]:
    """What could not be measured of several, and why."""
    return tuple(sentence for one in kept for sentence in one.missing)


def constant(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether all examples, the last axis, have one value: of (..., N) a bool (...)."""
    same: NDArray[np.bool_] = np.ptp(values, axis=-1) == 0
    return same


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks along the last axis, from 0 to N - 1; those of equal values are their mean."""
    found: NDArray[np.float64] = rankdata(values, axis=-1) - 1
    return found


def percentiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks along the last axis as shares, 0 (easiest) to 1 (hardest); N >= 2."""
    return ranks(values) / (values.shape[-1] - 1)


def standardised(values: NDArray[np.float64], scale: Scale = Scale.RANKS) -> NDArray[np.float64]:
    """Rows of mean 0 and norm 1: the inner product of two is their correlation, Spearman's or Pearson's.

    Args:
        values: float64 (..., N).
        scale: Of what.

    Raises:
        AnalysisError: A row is constant, so that it has no correlation with anything.
    """
    if constant(values).any():
        raise AnalysisError("difficulty: what is the same for all examples has no correlation")
    scaled = ranks(values) if scale is Scale.RANKS else values
    centred = scaled - scaled.mean(axis=-1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=-1, keepdims=True)


def correlation(a: NDArray[np.float64], b: NDArray[np.float64], scale: Scale = Scale.RANKS) -> Any:
    """The correlation of rows, -1..1: of (..., N) and (..., N) float64 (...); errors as of `standardised`."""
    return (standardised(a, scale) * standardised(b, scale)).sum(axis=-1)
