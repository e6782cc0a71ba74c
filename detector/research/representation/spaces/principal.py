"""Principal components of activations, by the smaller of their two products with themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array

_ROUNDING = float(np.finfo(np.float64).eps)


def components(values: Array, count: int) -> tuple[Array, Array]:
    """What activations are along their directions of most variance.

    They are the activations times the right singular vectors (the rows of Vh, not its columns). Directions in which
    they vary less than rounding does are taken for none.

    Args:
        values: float64 (inputs, units), centred.
        count: How many directions, at least one; those that are too many are 0.

    Returns:
        float64 (inputs, count), whose columns are orthogonal, the longest first; and their squared lengths, (count,).
    """
    inputs, units = values.shape
    kept = min(count, inputs, units)
    wide = units > inputs
    product = values @ values.T if wide else values.T @ values
    last = len(product) - 1
    lengths, vectors = eigh(product, subset_by_index=[last - kept + 1, last])
    lengths, vectors = lengths[::-1], vectors[:, ::-1]
    told = lengths > len(product) * _ROUNDING * lengths[0]
    lengths = np.where(told, lengths, 0)
    found = np.zeros((inputs, count))
    found[:, :kept] = vectors * np.sqrt(lengths) if wide else (values @ vectors) * told
    return found, np.pad(lengths, (0, count - kept))
