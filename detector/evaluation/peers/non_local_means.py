"""Non-local means: every pixel becomes the average of its neighbourhood's pixels whose surroundings look alike.

Buades, Coll and Morel, CVPR 2005; the sizes and the strength given are those of feature squeezing's "11-3-4" (Xu et
al., arXiv 1704.01155). No installed library has it for batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

_SEARCH = 11
_PATCH = 3
_STRENGTH = 4 / 255


def non_local_means(
    images: Float32Array, *, search: int = _SEARCH, patch: int = _PATCH, strength: float = _STRENGTH
) -> Float32Array:
    """Denoise images.

    Args:
        images: float32 (N, channels, height, width), values in [0, 1].
        search: Side of the square around a pixel in which others are averaged, odd.
        patch: Side of the surroundings that are compared, odd.
        strength: Root mean square difference of surroundings at which a pixel's weight is 1/e.

    Returns:
        float32, the same shape, values within those of `images`.
    """
    reach = search // 2
    padded = np.pad(
        images, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="reflect" if _fits(images, reach) else "edge"
    )
    height, width = images.shape[2:]
    total = np.zeros_like(images)
    weights = np.zeros_like(images[:, :1])
    for row in range(search):
        for column in range(search):
            other = padded[:, :, row : row + height, column : column + width]
            squared = ((images - other) ** 2).mean(axis=1, keepdims=True)
            weight = np.exp(-uniform_filter(squared, size=(1, 1, patch, patch)) / np.float32(strength**2))
            total += weight * other
            weights += weight
    return total / weights


def _fits(images: Float32Array, reach: int) -> bool:
    return min(images.shape[2:]) > reach
