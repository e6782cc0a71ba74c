"""The Frechet mean: the point whose squared distances to some others have the smallest sum (Karcher 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.spaces.base import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array, Space

_MOST_STEPS = 200
_ROUNDING = 1e-9
_LONGEST_STEP = 8.0


@dataclass(frozen=True, eq=False)
class _Slope:
    """Where the sum of squares falls: at a point, half of its negative gradient, and the sum."""

    point: Array
    downhill: Array
    length: float
    squares: float

    @classmethod
    def at(cls, space: Space, point: Array, others: Sequence[Array], shares: Array) -> _Slope:
        tangents = [space.log(point, other) for other in others]
        squares = sum(share * space.inner(point, each, each) for share, each in zip(shares, tangents, strict=True))
        downhill: Array = np.tensordot(shares, np.stack(tangents), 1)
        length = max(space.inner(point, downhill, downhill), 0.0) ** 0.5
        return cls(point, downhill, length, float(squares))


def frechet_mean(
    space: Space,
    points: Sequence[Array],
    *,
    weights: Sequence[float] | None = None,
    tolerance: float = 1e-7,
    most_steps: int = _MOST_STEPS,
) -> Array:
    """The mean of points: from the one that is nearest to all, along the mean of all tangents, until that is 0.

    It is the only one where the space is not curved upwards, and on a sphere when the points lie within a cap of radius
    pi / 2. Else there may be several from which no small step leads nearer, and one of them is found.

    Args:
        space: Where.
        points: At least one.
        weights: Of each, >= 0, not all of them 0; None for all the same.
        tolerance: How long the mean tangent may be in the end, in units of the points' root mean square distance; what
            `rounding` alone may make is no length, either.
        most_steps: Give up after so many.

    Raises:
        AnalysisError: There is no point, the weights don't fit, or it does not settle.
    """
    shares = _shares(space, points, weights)
    nearest = int(np.argmin(space.distances(points, points) ** 2 @ shares))
    mean, step, last = points[nearest], 1.0, None
    nothing = rounding(space, mean)
    for _ in range(most_steps):
        slope = _Slope.at(space, mean, points, shares)
        if slope.length <= max(tolerance * slope.squares**0.5, nothing):
            return mean
        if last is not None and slope.squares > last.squares * (1 + _ROUNDING):
            step /= 4
        else:
            step = step if last is None else _next_step(space, step, last, slope)
            last = slope
        mean = space.exp(last.point, step * last.downhill)
    raise AnalysisError(f"{space.name}: the mean of {len(points)} points has not settled after {most_steps} steps")


def _next_step(space: Space, step: float, last: _Slope, slope: _Slope) -> float:
    """The step that would have led to the foot of the slope, were it as bent all along (Barzilai and Borwein 1988).

    It is below 1 where the space is curved downwards, in which steps of 1 swing from side to side, and above 1 where it
    is curved upwards, in which they are slow.
    """
    back = space.log(slope.point, last.point)
    moved = space.inner(slope.point, back, back) ** 0.5
    if not moved > 0:
        return step
    left = -space.inner(slope.point, slope.downhill, back) / moved
    bend = max(last.length - left, last.length / _LONGEST_STEP)
    return min(step * last.length / bend, _LONGEST_STEP)


def _shares(space: Space, points: Sequence[Array], weights: Sequence[float] | None) -> Array:
    if not points:
        raise AnalysisError(f"{space.name}: no points have no mean")
    shares = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(points),) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise AnalysisError(f"{space.name}: weights are numbers >= 0, one for each of {len(points)} points, not all 0")
    return shares / shares.sum()
