"""A space of representations: activations become points, with distances and straight lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Space(Protocol):
    """A metric space with straight lines (geodesics) of closed form. Points and tangents are float64 arrays."""

    @property
    def name(self) -> str:
        """One word, with its options: what reports and files call it."""
        ...

    def point(self, activations: Array) -> Array:
        """The point that a representation is.

        Args:
            activations: float64 (inputs, units): what one layer says to each of the same inputs.

        Raises:
            AnalysisError: It is no point here: too few inputs, not finite, or the same for every input.
        """
        ...

    def distance(self, a: Array, b: Array) -> float:
        """Between two points, >= 0."""
        ...

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """Between all of some points and all of others, (len(a), len(b))."""
        ...

    def between(self, a: Array, b: Array, share: float) -> Array:
        """The point on the straight line from `a` (share 0) to `b` (share 1)."""
        ...

    def log(self, a: Array, b: Array) -> Array:
        """The tangent at `a` that leads to `b`, as long as their distance."""
        ...

    def exp(self, a: Array, tangent: Array) -> Array:
        """Where a tangent at `a` leads."""
        ...

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """The inner product of two tangents at `a`."""
        ...
