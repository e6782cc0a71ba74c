"""Spaces by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.errors import AnalysisError
from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.research.representation.spaces.kernels import Kernel
from detector.research.representation.spaces.kinds import SpaceKind
from detector.research.representation.spaces.riemannian import AffineInvariant
from detector.research.representation.spaces.shape import Shape
from detector.research.representation.spaces.stress import Stress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.research.representation.spaces.base import Space

SPACES: Mapping[SpaceKind, Space] = {
    SpaceKind.ANGULAR_CKA: AngularCKA(),
    SpaceKind.ANGULAR_CKA_UNMASKED: AngularCKA(masked=False),
    SpaceKind.ANGULAR_CKA_LAPLACE: AngularCKA(Kernel.LAPLACE),
    SpaceKind.ANGULAR_CKA_SQUARED_EXPONENTIAL: AngularCKA(Kernel.SQUARED_EXPONENTIAL),
    SpaceKind.PROCRUSTES: Shape(),
    SpaceKind.ANGULAR_PROCRUSTES: Shape(angular=True),
    SpaceKind.SHAPE_HALF: Shape(0.5),
    SpaceKind.ANGULAR_SHAPE_HALF: Shape(0.5, angular=True),
    SpaceKind.SHAPE_WHITE: Shape(0),
    SpaceKind.ANGULAR_SHAPE_WHITE: Shape(0, angular=True),
    SpaceKind.RIEMANNIAN: AffineInvariant(),
    SpaceKind.RIEMANNIAN_COVARIANCE: AffineInvariant(components=100),
    SpaceKind.STRESS: Stress(),
    SpaceKind.STRESS_RESCALED: Stress(rescaled=True),
}


def space_named(name: str) -> Space:
    """The space of a name.

    Raises:
        AnalysisError: There is none; says which there are.
    """
    if name not in list(SpaceKind):
        raise AnalysisError(f"space: there is no {name!r}; there are {', '.join(SpaceKind)}")
    return SPACES[SpaceKind(name)]
