"""The Frechet mean: the point whose squared distances to some others have the smallest sum (Karcher 1977)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.spaces.base import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array, Space

_MOST_STEPS = 200
_ROUNDING = 1e-9


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
    mean = before = points[nearest]
    step, last = 1.0, np.inf
    nothing = rounding(space, mean)
    for _ in range(most_steps):
        tangents = [space.log(mean, point) for point in points]
        squares = sum(share * space.inner(mean, each, each) for share, each in zip(shares, tangents, strict=True))
        whole: Array = np.tensordot(shares, np.stack(tangents), 1)
        length = max(space.inner(mean, whole, whole), 0.0) ** 0.5
        if length <= max(tolerance * squares**0.5, nothing):
            return mean
        if squares > last * (1 + _ROUNDING):
            mean, step = before, step / 2
            continue
        before, last = mean, squares
        mean = space.exp(mean, step * whole)
    raise AnalysisError(f"{space.name}: the mean of {len(points)} points has not settled after {most_steps} steps")


def _shares(space: Space, points: Sequence[Array], weights: Sequence[float] | None) -> Array:
    if not points:
        raise AnalysisError(f"{space.name}: no points have no mean")
    shares = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(points),) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise AnalysisError(f"{space.name}: weights are numbers >= 0, one for each of {len(points)} points, not all 0")
    return shares / shares.sum()
