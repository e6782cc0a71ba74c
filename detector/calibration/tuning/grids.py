"""Grids of alphas to choose from, all of them within one that is walked once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.calibration.options import squared_steps
from detector.calibration.tuning.folds import folds, judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.calibration.tuning.evidence import Evidence
    from detector.calibration.tuning.folds import Fold, Score
    from detector.classifiers.base import Float32Array

_RIDGE = 0.01  # of the mean variance
_FURTHEST = 0.85


@dataclass(frozen=True)
class Grid:
    """Inner grid points, and how they are spaced, in words."""

    spacing: str
    alphas: tuple[float, ...]

    @property
    def name(self) -> str:
        """Such as ``4 points, denser near the image``."""
        count = len(self.alphas)
        listed = ", ".join(f"{alpha:.2g}" for alpha in self.alphas)
        return f"{count} point{'s' if count > 1 else ''}, {self.spacing}: {listed}"


def dense_grid(points: Sequence[int], standing: tuple[float, ...]) -> tuple[float, ...]:
    """All grid points that are walked: those of the squared grids, the one in place, and one further out."""
    found = {alpha for count in points for alpha in squared_steps(count)} | {*standing, _FURTHEST}
    return tuple(sorted(found))


def spaced_grids(points: Sequence[int], dense: tuple[float, ...]) -> list[Grid]:
    """For each number of points, squares of even steps, and even steps as near as the dense grid has them."""
    grids = []
    for count in points:
        grids.append(Grid("denser near the image", squared_steps(count)))
        nearest = [min(dense, key=lambda at: abs(at - i / (count + 1))) for i in range(1, count + 1)]
        if len(set(nearest)) == count:
            grids.append(Grid("even", tuple(nearest)))
    return grids


def greedy_grids(
    evidence: Evidence, dense: tuple[float, ...], paths: Sequence[str], points: Sequence[int]
) -> list[Grid]:
    """Grids that grow by whichever point raises the quality most, as a linear scorer of logits sees it.

    A linear scorer is fitted in milliseconds where the guard's own takes a second; what it proposes is judged by that.

    Args:
        evidence: Walked on the dense grid.
        dense: Its points.
        paths: Names of the paths.
        points: How many points grids are wanted of.

    Returns:
        None where all attacks are of one kin, which leaves none to learn from when it is left out.
    """
    if len(set(evidence.kins.values())) == 1:
        return []
    linear = _Linear(evidence)
    at_alpha = {alpha: linear.columns([f"{path}:{alpha:.4g}" for path in paths]) for alpha in dense}
    elsewhere = linear.columns_elsewhere(":")
    grown: list[float] = []
    grids = []
    while len(grown) < min(max(points), len(dense)):
        rest = [alpha for alpha in dense if alpha not in grown]
        columns = {alpha: np.concatenate([elsewhere, *(at_alpha[one] for one in (*grown, alpha))]) for alpha in rest}
        grown.append(max(rest, key=lambda alpha: linear.quality(columns[alpha])))
        if len(grown) in points:
            grids.append(Grid("grown one by one", tuple(sorted(grown))))
    return grids


class _Linear:
    """Ridge regression of attacked against benign, fold by fold, on any of the logits' features."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._kept = np.array([at for at, name in enumerate(evidence.names) if "[" not in name.split("@")[0]], np.int64)
        self._points = [evidence.names[at].split("@")[1] for at in self._kept]
        self._moments = {fold.kins: _Moments.of(evidence, self._kept, fold) for fold in folds(evidence)}

    def columns(self, points: Sequence[str]) -> NDArray[np.int64]:
        """Features at some points."""
        return np.flatnonzero(np.isin(self._points, points))

    def columns_elsewhere(self, mark: str) -> NDArray[np.int64]:
        """Features at points whose names lack a mark."""
        return np.flatnonzero([mark not in point for point in self._points])

    def quality(self, columns: NDArray[np.int64]) -> float:
        """As `left_out_quality`."""

        def fitted(fold: Fold) -> Score:
            moments = self._moments[fold.kins]
            return partial(moments.score, columns=columns, weights=moments.solve(columns))

        return judged(self._evidence, self._kept[columns], fitted).value


@dataclass(frozen=True, eq=False)
class _Moments:
    """First and second moments of standardised features in one fold's training, and their product with the target."""

    mean: NDArray[np.float64]
    inverse_scale: NDArray[np.float64]
    second: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def of(cls, evidence: Evidence, columns: NDArray[np.int64], fold: Fold) -> _Moments:
        benign = evidence.benign.without(fold.images)[:, columns].astype(np.float64)
        groups = [
            one.without(fold.images)[:, columns].astype(np.float64)
            for name, one in evidence.attacked.items()
            if evidence.kins[name] not in fold.kins
        ]
        groups = [group for group in groups if len(group)]
        mean, deviation = benign.mean(axis=0), benign.std(axis=0)
        inverse = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        parts = [benign, *groups]
        weights = [np.full(len(benign), 0.5 / len(benign))]
        weights += [np.full(len(group), 0.5 / len(groups) / len(group)) for group in groups]
        rows = (np.concatenate(parts) - mean) * inverse
        weight = np.concatenate(weights)
        target = np.where(np.arange(len(rows)) < len(benign), -1.0, 1.0)
        weighted = rows * weight[:, None]
        return cls(mean, inverse, weighted.T @ rows, weighted.T @ target)

    def solve(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        second = self.second[np.ix_(columns, columns)]
        ridge = _RIDGE * np.trace(second) / len(columns)
        return np.linalg.solve(second + ridge * np.eye(len(columns)), self.target[columns])

    def score(self, features: Float32Array, columns: NDArray[np.int64], weights: NDArray[np.float64]) -> Float32Array:
        standardised = (features - self.mean[columns]) * self.inverse_scale[columns]
        return np.asarray(standardised @ weights, np.float32)
