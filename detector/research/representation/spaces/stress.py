"""Stress: a layer is the distances between its inputs, and two layers differ as these do. A flat space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.spatial.distance import cdist, squareform

from detector.research.representation.spaces.base import alike
from detector.research.representation.spaces.centring import centred
from detector.research.representation.spaces.kernels import apart, median_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array


@dataclass(frozen=True)
class Stress:
    """Points are float64 (pairs,): Euclidean distances of inputs 0 and 1, 0 and 2, ..., as SciPy's `pdist` orders them.

    The distance of two points is the root mean square of their differences, in the activations' units. Rotations,
    reflections and translations of the activations change nothing; where points are rescaled, scales do not either.
    A straight line between two points leads over distances that no activations need have.

    Args:
        rescaled: Count distances in medians of the pairs that differ.
    """

    rescaled: bool = False

    curvature: ClassVar[float | None] = 0.0

    @property
    def name(self) -> str:
        """As `Space.name`."""
        return "stress-rescaled" if self.rescaled else "stress"

    def point(self, activations: Array) -> Array:
        """As `Space.point`."""
        far: Array = squareform(apart(centred(self.name, activations)), checks=False)
        return far / median_length(far) if self.rescaled else far

    def distance(self, a: Array, b: Array) -> float:
        """The root mean square difference."""
        alike(self, a, b)
        return float(np.linalg.norm(a - b)) / a.size**0.5

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """As `Space.distances`; a copy of all points is made meanwhile."""
        alike(self, *a, *b)
        if not a or not b:
            return np.zeros((len(a), len(b)))
        found: Array = cdist(np.stack(a), np.stack(b))
        return found / a[0].size ** 0.5

    def between(self, a: Array, b: Array, share: float) -> Array:
        """As `Space.between`."""
        alike(self, a, b)
        return (1 - share) * a + share * b

    def log(self, a: Array, b: Array) -> Array:
        """The difference."""
        alike(self, a, b)
        return b - a

    def exp(self, a: Array, tangent: Array) -> Array:
        """The sum."""
        alike(self, a, tangent)
        return a + tangent

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """The mean product."""
        alike(self, a, one, other)
        return float(np.vdot(one, other)) / a.size

    def tangent(self, a: Array, direction: Array) -> Array:
        """All of it."""
        alike(self, a, direction)
        return direction.copy()
