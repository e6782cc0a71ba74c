"""Points of a sphere in as few numbers as there are points.

A turn of the whole sphere changes no distance, angle or projection, and some points can be turned so that all their
numbers but the first few are 0. Matrices of 1,000 images by 1,000 become vectors of as many numbers as the path has
points, and the geometry of a path takes no longer than that turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.spaces import sphere
from detector.research.representation.spaces.angular_cka import AngularCKA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array, LengthSpace


@dataclass(frozen=True)
class Turned:
    """The unit sphere of vectors (n,), in place of a space whose points lie on a sphere.

    Args:
        name: Of that space.
    """

    name: str

    curvature: ClassVar[float | None] = 1.0

    def point(self, activations: Array) -> Array:
        """A vector of any length but 0, scaled to 1."""
        norm = float(np.linalg.norm(activations))
        if not norm > 0:
            raise AnalysisError(f"{self.name}: nothing has no direction")
        return activations / norm

    def distance(self, a: Array, b: Array) -> float:
        """The angle between them, radians."""
        return sphere.distance(a, b)

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """As `LengthSpace.distances`."""
        return sphere.distances(a, b)

    def between(self, a: Array, b: Array, share: float) -> Array:
        """On the great circle."""
        return sphere.exp(a, share * self.log(a, b))

    def log(self, a: Array, b: Array) -> Array:
        """As `Space.log`."""
        return sphere.log(self.name, a, b)

    def exp(self, a: Array, tangent: Array) -> Array:
        """As `Space.exp`."""
        return sphere.exp(a, tangent)

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """Of vectors, the same everywhere."""
        del a
        return float(np.vdot(one, other))

    def tangent(self, a: Array, direction: Array) -> Array:
        """Less what is along `a`."""
        return sphere.tangent(a, direction)


def turned(space: LengthSpace, points: Sequence[Array]) -> tuple[LengthSpace, list[Array]]:
    """The same points in a space of few numbers, where that can be had; else as they are.

    Args:
        space: Where they are.
        points: Any number; equal ones stay equal.

    Returns:
        A space and points in it with the same distances, angles, projections and curvatures, to rounding.
    """
    if not isinstance(space, AngularCKA) or len(points) >= points[0].size:
        return space, list(points)
    columns = np.stack([point.ravel() for point in points], axis=1)
    corner: Any = np.linalg.qr(columns, mode="r")
    few = Turned(space.name)
    found: list[Array] = []
    for place, column in enumerate(np.ascontiguousarray(corner.T)):
        same = (other for other in range(place) if np.array_equal(points[other], points[place]))
        first = next(same, None)
        found.append(few.point(column) if first is None else found[first])  # equal points stay so, to the bit
    return few, found
