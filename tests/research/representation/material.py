"""Seeded activations, and what leaves their geometry as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import ortho_group

from detector.research.representation.spaces.registry import SPACES
from detector.research.representation.spaces.shape import Shape

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array, Space

INPUTS = 30
FULL = 40
"""Units: more than inputs, so that no point lacks rank."""


def _tested(space: Space) -> Space:
    """Whitened in all that 30 inputs can tell, layers of as many units would be one point."""
    return Shape(0, angular=space.angular, components=12) if isinstance(space, Shape) and space.alpha == 0 else space


every_space = pytest.mark.parametrize(
    "space",
    [*map(_tested, SPACES.values()), Shape(components=None), Shape(angular=True, components=5)],
    ids=lambda space: space.name,
)


def activations(seed: int, units: int = 7, inputs: int = INPUTS) -> Array:
    """Unlike ones, with a mean that is far from 0."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(inputs, units)) @ generator.normal(size=(units, units)) + 5 * generator.normal(
        size=units
    )


def related(seed: int, share: float, units: int = 7, inputs: int = INPUTS) -> Array:
    """Part of what seed 0 gives, part of what this one does."""
    return (1 - share) * activations(0, units, inputs) + share * activations(seed, units, inputs)


def rotation(units: int, seed: int) -> Array:
    """Of all rotations and reflections, evenly drawn."""
    return np.asarray(ortho_group.rvs(units, random_state=np.random.default_rng(seed)))


def rotated(values: Array, seed: int = 0) -> Array:
    """The same turned, and moved."""
    generator = np.random.default_rng(seed)
    return values @ rotation(values.shape[1], seed) + generator.normal(size=values.shape[1])


def wider(values: Array, units: int, seed: int = 0) -> Array:
    """The same in more units: an isometric image."""
    return values @ rotation(units, seed)[: values.shape[1]]


def one_hot(classes: int, inputs: int = INPUTS) -> Array:
    """Targets, class by class."""
    return np.eye(classes)[np.arange(inputs) % classes]
