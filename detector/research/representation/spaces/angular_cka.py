"""Angular CKA: a layer is the direction of its centred kernel matrix (Williams et al. 2021, supplement).

With the diagonal masked, <a, b> is the almost unbiased HSIC of two layers, tr(Ka Kb) / (m (m - 3)) up to the scale that
is divided out: what is left of the bias is O(1/m^2), where that of the whole matrix is O(1/m). Masked points are no
longer positive semi-definite, and their CKA may be below 0: distances above pi / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.spaces import sphere
from detector.research.representation.spaces.base import alike
from detector.research.representation.spaces.centring import centred
from detector.research.representation.spaces.kernels import Kernel, gram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array


@dataclass(frozen=True)
class AngularCKA:
    """Points are float64 (inputs, inputs), symmetric, with unit Frobenius norm; distances are radians in [0, pi].

    Rotations, translations and isotropic scales of the activations change nothing, except that with a given length
    scale scales do. Other affine maps change them.

    Args:
        kernel: How alike two inputs are.
        length: The kernel's length scale, in units of the activations; None for the median distance of two inputs.
        masked: Leave the diagonal out.

    Raises:
        AnalysisError: The length is not above 0, or the linear kernel has none.
    """

    kernel: Kernel = Kernel.LINEAR
    length: float | None = None
    masked: bool = True

    curvature: ClassVar[float | None] = 1.0

    def __post_init__(self) -> None:
        if self.length is None:
            return
        if self.kernel is Kernel.LINEAR:
            raise AnalysisError("angular-cka: the linear kernel has no length scale")
        if not 0 < self.length < np.inf:
            raise AnalysisError(f"angular-cka: a length scale is above 0, not {self.length}")

    @property
    def name(self) -> str:
        """As `Space.name`."""
        parts = ["angular-cka"]
        if self.kernel is not Kernel.LINEAR:
            parts.append(self.kernel.value)
        if self.length is not None:
            parts.append(f"length-{self.length:g}")
        if not self.masked:
            parts.append("unmasked")
        return "-".join(parts)

    def point(self, activations: Array) -> Array:
        """As `Space.point`.

        Raises:
            AnalysisError: As there; or the length scale is so far from the activations' that all inputs are alike.
        """
        values = centred(self.name, activations)
        if self.length is None:
            values /= np.abs(values).max()
        similar = gram(self.kernel, values, self.length)
        peak = float(np.abs(similar).max())
        means = similar.mean(0)
        similar -= means + means[:, None] - means.mean()
        if self.masked:
            np.fill_diagonal(similar, 0)
        norm = float(np.linalg.norm(similar))
        if not norm > len(values) * np.finfo(np.float64).eps * peak:
            raise AnalysisError(f"{self.name}: with this length scale all inputs are alike; such a layer is no point")
        return similar / norm

    def distance(self, a: Array, b: Array) -> float:
        """The arc cosine of their CKA."""
        alike(self, a, b)
        return sphere.distance(a, b)

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """As `Space.distances`; a copy of all points is made meanwhile."""
        alike(self, *a, *b)
        return sphere.distances(a, b)

    def between(self, a: Array, b: Array, share: float) -> Array:
        """On the great circle (SLERP)."""
        return sphere.exp(a, share * self.log(a, b))

    def log(self, a: Array, b: Array) -> Array:
        """As `Space.log`."""
        alike(self, a, b)
        return sphere.log(self.name, a, b)

    def exp(self, a: Array, tangent: Array) -> Array:
        """As `Space.exp`."""
        alike(self, a, tangent)
        return sphere.exp(a, tangent)

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """That of all entries."""
        alike(self, a, one, other)
        return float(np.vdot(one, other))

    def tangent(self, a: Array, direction: Array) -> Array:
        """The symmetric part with no diagonal, or without a mask with rows that sum to 0; less what is along `a`."""
        alike(self, a, direction)
        within = (direction + direction.T) / 2
        if self.masked:
            np.fill_diagonal(within, 0)
        else:
            means = within.mean(0)
            within -= means + means[:, None] - means.mean()
        return sphere.tangent(a, within)
