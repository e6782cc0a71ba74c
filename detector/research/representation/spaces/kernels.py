"""Kernels: how alike inputs are to a layer, and how far apart.

Of activations that are centred: rounding in the difference of two inputs is then relative to how far inputs spread.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array

_ROUNDING = 16 * float(np.finfo(np.float64).eps)


class Kernel(StrEnum):
    """x.y, exp(-|x - y|^2 / (2 l^2)) or exp(-|x - y| / l), with a length scale l."""

    LINEAR = "linear"
    SQUARED_EXPONENTIAL = "squared-exponential"
    LAPLACE = "laplace"


def gram(kernel: Kernel, activations: Array, length: float | None = None) -> Array:
    """The kernel of every pair of inputs.

    Args:
        kernel: Which.
        activations: float64 (inputs, units), centred, and not all inputs the same.
        length: The kernel's length scale, in units of the activations; None for `median_length`.

    Returns:
        float64 (inputs, inputs), symmetric.
    """
    if kernel is Kernel.LINEAR:
        return activations @ activations.T
    far = apart(activations)
    with np.errstate(over="ignore"):  # an input that is infinitely many lengths away has a kernel of 0
        far /= median_length(far) if length is None else length
        return np.exp(-(far**2) / 2) if kernel is Kernel.SQUARED_EXPONENTIAL else np.exp(-far)


def apart(activations: Array) -> Array:
    """The Euclidean distance of every pair of inputs, (inputs, inputs); 0 where rounding alone could have made it."""
    squares = euclidean_distances(activations, squared=True)
    squares[squares <= _ROUNDING * np.square(activations).sum(1).max()] = 0
    return np.sqrt(squares)


def median_length(far: Array) -> float:
    """The median distance of two inputs that differ.

    Of pairs that do not, as most one-hot targets of two classes, the median could be 0, and that is no length.

    Args:
        far: float64 (inputs, inputs), or any part of it; not all of it 0.
    """
    return float(np.median(far[far > 0]))
