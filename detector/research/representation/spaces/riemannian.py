"""The affine-invariant Riemannian space of positive definite matrices (Pennec 2006; for layers, Shahbazi et al. 2021).

d(A, B) is the root of the summed squared logarithms of the eigenvalues of A^-1 B, and d(G A G', G B G') = d(A, B) for
any invertible G. The matrix of a layer is regularised, as one that lacks rank is infinitely far from one that does not:
every matrix of products of inputs whose mean is taken away does, and targets of classes do most. What is invariant of
matrices is therefore not of activations: affine maps of these change distances; rotations and scales do not.

Where ranks differ, distances are mostly the logarithm of the ridge, once for each direction that one of the two lacks.

repsim, which the method's authors use, projects activations on the columns of Vh instead of its rows, and leaves those
that have fewer units than the covariance unprojected, so that rotations move them; here they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

from detector.errors import AnalysisError
from detector.research.representation.spaces.base import alike, loop
from detector.research.representation.spaces.centring import centred
from detector.research.representation.spaces.principal import components as principal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array

_LEAST_RIDGE = 1e-9  # what rounding leaves of an eigenvalue 0 beside the largest of 10,000 inputs is below
_LONGEST = 300.0  # exp(300) is 1e130: products of such stay finite


@dataclass(frozen=True)
class AffineInvariant:
    """Points are float64 (size, size), symmetric and positive definite; before the ridge their mean eigenvalue is 1.

    Of inputs (size = inputs) they say what the layer makes of each pair. Of units (size = components) they are the
    covariance along the layer's own principal directions, and say how much it varies along each, but not what about:
    two layers with one spectrum are one point.

    Args:
        components: None for the Gram matrix of the inputs; else the size of the covariance.
        ridge: Added to every eigenvalue, in units of their mean; at least 1e-9.

    Raises:
        AnalysisError: The ridge is too small, or there are no components.
    """

    components: int | None = None
    ridge: float = 0.05

    curvature: ClassVar[float | None] = None  # negative, or 0 where matrices commute

    def __post_init__(self) -> None:
        if not _LEAST_RIDGE <= self.ridge < np.inf:
            raise AnalysisError(f"riemannian: a ridge is at least {_LEAST_RIDGE:g}, not {self.ridge}: layers lack rank")
        if self.components is not None and self.components < 1:
            raise AnalysisError(f"riemannian: a covariance has at least 1 component, not {self.components}")

    @property
    def name(self) -> str:
        """As `Space.name`."""
        of = "riemannian" if self.components is None else f"riemannian-covariance-{self.components}"
        return of if self.ridge == AffineInvariant.ridge else f"{of}-ridge-{self.ridge:g}"

    def point(self, activations: Array) -> Array:
        """As `Space.point`."""
        values = centred(self.name, activations)
        values /= np.abs(values).max()
        if self.components is None:
            matrix = values @ values.T
        else:
            along, _ = principal(values, self.components)
            matrix = along.T @ along
        matrix /= np.trace(matrix) / len(matrix)
        matrix[np.diag_indices_from(matrix)] += self.ridge
        return matrix

    def distance(self, a: Array, b: Array) -> float:
        """The root of the summed squared logarithms."""
        alike(self, a, b)
        try:
            ratios = eigh(b, a, eigvals_only=True)
        except LinAlgError:
            raise self._indefinite() from None
        if not ratios[0] > 0:
            raise self._indefinite()
        return float(np.linalg.norm(np.log(ratios)))

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """As `Space.distances`: an eigenvalue problem of the matrices' size for each pair."""
        alike(self, *a, *b)
        return loop(self, a, b)

    def between(self, a: Array, b: Array, share: float) -> Array:
        """The power of their ratio: A^1/2 (A^-1/2 B A^-1/2)^share A^1/2."""
        alike(self, a, b)
        ratios, frame = self._ratios(a, b)
        return _framed(frame, ratios**share)

    def log(self, a: Array, b: Array) -> Array:
        """As `Space.log`."""
        alike(self, a, b)
        ratios, frame = self._ratios(a, b)
        return _framed(frame, np.log(ratios))

    def exp(self, a: Array, tangent: Array) -> Array:
        """As `Space.exp`.

        Raises:
            AnalysisError: It leads to numbers that float64 does not hold.
        """
        alike(self, a, tangent)
        rates, frame = self._pencil(tangent, a)
        if not np.abs(rates).max() <= _LONGEST:
            raise AnalysisError(f"{self.name}: a tangent is so long that where it leads can't be told in float64")
        return _framed(frame, np.exp(rates))

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """tr(A^-1 one A^-1 other)."""
        alike(self, a, one, other)
        factor = cho_factor(a)
        return float(np.vdot(cho_solve(factor, one).T, cho_solve(factor, other)))

    def tangent(self, a: Array, direction: Array) -> Array:
        """The symmetric part."""
        alike(self, a, direction)
        return (direction + direction.T) / 2

    def _ratios(self, a: Array, b: Array) -> tuple[Array, Array]:
        """As `_pencil` of a^-1 b, both of them points."""
        ratios, frame = self._pencil(b, a)
        if not ratios[0] > 0:
            raise self._indefinite()
        return ratios, frame

    def _pencil(self, of: Array, by: Array) -> tuple[Array, Array]:
        """Eigenvalues of by^-1 of, ascending, and the frame F in which by = F F' and of = F diag(eigenvalues) F'."""
        try:
            values, vectors = eigh(of, by)
        except LinAlgError:
            raise self._indefinite() from None
        return values, by @ vectors

    def _indefinite(self) -> AnalysisError:
        return AnalysisError(f"{self.name}: a matrix is not positive definite, as every point is here")


def _framed(frame: Array, values: Array) -> Array:
    whole: Array = (frame * values) @ frame.T
    return (whole + whole.T) / 2
