"""A space of representations: activations become points, with distances and straight lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[np.float64]


@runtime_checkable
class LengthSpace(Protocol):
    """A metric space with straight lines (geodesics). Points are float64 arrays, all of one shape for the same inputs.

    Everything but `name` and `point` raises AnalysisError for points of different shapes: they are not of the same
    inputs.
    """

    @property
    def name(self) -> str:
        """One word, with its options: what reports and files call it."""
        ...

    def point(self, activations: Array) -> Array:
        """The point that a representation is.

        Args:
            activations: float64 (inputs, units): what one layer says to each of the same inputs, in the same order.

        Raises:
            AnalysisError: It is no point here: too few or too many inputs, not finite, or the same for every input.
        """
        ...

    def distance(self, a: Array, b: Array) -> float:
        """Between two points, >= 0."""
        ...

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """Between all of some points and all of others, (len(a), len(b)); about half the work where `b` is `a`."""
        ...

    def between(self, a: Array, b: Array, share: float) -> Array:
        """The point on the straight line from `a` (share 0) to `b` (share 1).

        Raises:
            AnalysisError: There is more than one straight line, or the shapes differ.
        """
        ...


@runtime_checkable
class Space(LengthSpace, Protocol):
    """A Riemannian length space with maps of closed form. Tangents are float64 arrays of their point's shape."""

    @property
    def curvature(self) -> float | None:
        """Of every plane: 1 for a sphere, 0 where it is flat; None where it varies or only bounds are known."""
        ...

    def log(self, a: Array, b: Array) -> Array:
        """The tangent at `a` that leads to `b`, as long as their distance.

        Raises:
            AnalysisError: As `between`.
        """
        ...

    def exp(self, a: Array, tangent: Array) -> Array:
        """Where a tangent at `a` leads."""
        ...

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """The inner product of two tangents at `a`; of `log(a, b)` with itself, the squared distance."""
        ...

    def tangent(self, a: Array, direction: Array) -> Array:
        """What is tangent at `a` of an array of its shape: nothing that leaves the space or does not move the point."""
        ...


def alike(space: LengthSpace, *arrays: Array) -> None:
    """See that arrays may be points, or a point and a tangent, of the same inputs.

    Raises:
        AnalysisError: Their shapes differ.
    """
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise AnalysisError(
            f"{space.name}: points of shapes {' and '.join(map(str, sorted(shapes)))} are not of the same inputs"
        )


def rounding(space: LengthSpace, point: Array) -> float:
    """Distances from a point up to this are none: ten times what rounding makes of its distance to itself."""
    return 10 * space.distance(point, point)


def loop(space: LengthSpace, a: Sequence[Array], b: Sequence[Array]) -> Array:
    """`LengthSpace.distances`, one by one: for spaces that know no faster way."""
    found = np.zeros((len(a), len(b)))
    for row, column in np.ndindex(found.shape):
        if a is b and column <= row:
            found[row, column] = found[column, row]
        else:
            found[row, column] = space.distance(a[row], b[column])
    return found
