"""Shape metrics: layers are point clouds, compared after the best rotation (Williams et al. 2021; Kendall's shapes).

A space is a quotient: the points are matrices, and those that a rotation or reflection of the units takes into one
another are one. Everything here is first turned to its base point. At matrices that lack rank (a layer of fewer units
than components; targets of classes) the quotient has edges: rotations among the directions that such a matrix lacks
leave it as it is, tangents are told apart only up to them, and `inner` is that of the tangent cone.

Two warnings. With more components than a tenth or so of the inputs, a rotation fits almost anything to anything, and
distances say little about other inputs: compare on more inputs or keep fewer components; a distance here is of the
inputs that the rotation was found on. And what is whitened (alpha below 1) stays a shape, but straight lines between
whitened shapes are not whitened: lengths hold in the space of all shapes, which is larger than that of such layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.linalg import eigh, orthogonal_procrustes

from detector.errors import AnalysisError
from detector.research.representation.spaces import sphere
from detector.research.representation.spaces.base import alike
from detector.research.representation.spaces.centring import centred
from detector.research.representation.spaces.principal import components as principal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array

_COMPONENTS = 100
_NEAR = 1e-4
_LACKING = 1e-14  # of squared lengths: below, a rotation found by products of matrices is rounding


@dataclass(frozen=True)
class Shape:
    """Points are float64 (inputs, components) with columns of mean 0; angular ones have unit Frobenius norm.

    Rotations, reflections and translations of the activations change nothing. Isotropic scales change nothing where
    the space is angular or `alpha` is 0, and affine maps nothing where `alpha` is 0 and no component is left out.

    Distances are the Frobenius norm of the difference, in the activations' units where `alpha` is 1; angular ones are
    radians in [0, pi / 2].

    Args:
        alpha: How much of the variances is kept, in [0, 1]: 1 all (Procrustes), 0 none (whitened, as in CCA). A
            principal component of variance e is multiplied by alpha + (1 - alpha) / e^(1/2), where e is in units of the
            mean over components if the space is angular, and else as it is.
        angular: Compare directions instead of matrices.
        components: How many principal components are kept; layers of fewer units are filled up with 0. None for one
            less than the inputs, which is all; more than that are none.

    Raises:
        AnalysisError: `alpha` is not in [0, 1], or there are no components.
    """

    alpha: float = 1.0
    angular: bool = False
    components: int | None = _COMPONENTS

    curvature: ClassVar[float | None] = None  # at least 0, or 1 where angular, by O'Neill's formula

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise AnalysisError(f"shape: alpha is a share from 0 to 1, not {self.alpha}")
        if self.components is not None and self.components < 1:
            raise AnalysisError(f"shape: at least 1 component is kept, not {self.components}")

    @property
    def name(self) -> str:
        """As `Space.name`."""
        name = "procrustes" if self.alpha == 1 else f"shape-{self.alpha:g}"
        if self.angular:
            name = f"angular-{name}"
        if self.components == _COMPONENTS:
            return name
        return f"{name}-all" if self.components is None else f"{name}-components-{self.components}"

    def point(self, activations: Array) -> Array:
        """As `Space.point`."""
        values = centred(self.name, activations)
        inputs, units = values.shape
        kept = min(inputs - 1 if self.components is None else self.components, inputs - 1)
        if self.angular:
            values /= np.abs(values).max()
        if self.alpha == 1 and units <= kept:
            point = np.pad(values, ((0, 0), (0, kept - units)))
        else:
            point, squares = principal(values, kept)
            point *= self._weights(squares / inputs)
        return point / np.linalg.norm(point) if self.angular else point

    def _weights(self, variances: Array) -> Array:
        """What each component is multiplied by; one that does not vary stays 0 by any."""
        scale = variances.mean() if self.angular else 1.0
        roots = np.sqrt(np.where(variances > 0, variances / scale, 1))
        return self.alpha + (1 - self.alpha) / roots

    def distance(self, a: Array, b: Array) -> float:
        """After the best rotation."""
        turned = self._turned(a, b)
        return sphere.distance(a, turned) if self.angular else float(np.linalg.norm(a - turned))

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        """As `Space.distances`: by the nuclear norms of products, and again what is almost 0."""
        alike(self, *a, *b)
        found = np.zeros((len(a), len(b)))
        squares = [[float(np.vdot(point, point)) for point in points] for points in (a, b)]
        for row, point in enumerate(a):
            start = row + 1 if a is b else 0
            for column in range(start, len(b)):
                nuclear = float(np.linalg.svd(point.T @ b[column], compute_uv=False).sum())
                total = squares[0][row] + squares[1][column]
                if total - 2 * nuclear < _NEAR * total:
                    found[row, column] = self.distance(point, b[column])
                else:
                    found[row, column] = np.arccos(nuclear) if self.angular else (total - 2 * nuclear) ** 0.5
        return found + found.T if a is b else found

    def between(self, a: Array, b: Array, share: float) -> Array:
        """The line, or the great circle, to `b` turned to `a`."""
        return self.exp(a, share * self.log(a, b))

    def log(self, a: Array, b: Array) -> Array:
        """As `Space.log`: horizontal, as `b` is turned to `a` first. One of several where both lack a direction."""
        turned = self._turned(a, b)
        return sphere.log(self.name, a, turned) if self.angular else turned - a

    def exp(self, a: Array, tangent: Array) -> Array:
        """As `Space.exp`."""
        alike(self, a, tangent)
        return sphere.exp(a, tangent) if self.angular else a + tangent

    def inner(self, a: Array, one: Array, other: Array) -> float:
        """That of all entries; in the directions that `a` lacks, the largest under their rotations (a nuclear norm)."""
        alike(self, a, one, other)
        squares, directions = eigh(a.T @ a)
        lacking = directions[:, squares <= _LACKING * squares[-1]]
        plain = float(np.vdot(one, other))
        if not lacking.size:
            return plain
        left, right = one @ lacking, other @ lacking
        return plain - float(np.vdot(left, right)) + float(np.linalg.svd(left.T @ right, compute_uv=False).sum())

    def tangent(self, a: Array, direction: Array) -> Array:
        """What is horizontal: less its mean, what is radial (where angular) and what only turns `a`.

        What turns `a` is a S with S skew and (a'a) S + S (a'a) = a'w - w'a, a Sylvester equation, which is solved in
        the frame of a'a: it may lack rank, and then SciPy's solver finds no answer.
        """
        alike(self, a, direction)
        level = direction - direction.mean(0)
        if self.angular:
            level = sphere.tangent(a, level)
        squares, frame = eigh(a.T @ a)
        product = a.T @ level
        skew = frame.T @ (product - product.T) @ frame
        sums = squares + squares[:, None]
        told = sums > _LACKING * squares[-1]
        turn = np.where(told, skew / np.where(told, sums, 1), 0)
        horizontal: Array = level - a @ (frame @ turn @ frame.T)
        return horizontal

    def _turned(self, a: Array, b: Array) -> Array:
        """`b` after the rotation that takes it closest to `a`."""
        alike(self, a, b)
        rotation, _ = orthogonal_procrustes(b, a, check_finite=False)
        turned: Array = b @ rotation
        return turned
