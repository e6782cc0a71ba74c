"""Noise residuals: what is left of an image when each pixel is predicted from its neighbours.

What a camera or a codec leaves there hardly depends on what the image shows; what an attack adds, mostly does. The
residuals are those of steganalysis (Fridrich and Kodovsky, *Rich Models for Steganalysis of Digital Images*, IEEE TIFS
2012), which finds attacks too (Liu et al., arXiv 1806.09186). The classifier is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

LEVELS: Final = 255.0
SCALES: Final = (1.0, 4.0, 16.0)
"""Levels: how large a residual counts as small."""
LEAST_SHARE: Final = 1e-3
"""Added to a share before its logarithm is taken."""
MOST_OCTAVES: Final = 3
LEAST_SIDE: Final = 8
"""Pixels: no image is halved to less."""


def _unit(*rows: tuple[int, int, int]) -> NDArray[np.float64]:
    kernel = np.array(rows, np.float64)
    return kernel / np.linalg.norm(kernel)


_NONE = (0, 0, 0)
KERNELS: Final = np.stack(
    [
        _unit(_NONE, (0, -1, 1), _NONE),
        _unit(_NONE, (0, -1, 0), (0, 1, 0)),
        _unit(_NONE, (1, -2, 1), _NONE),
        _unit((0, 1, 0), (0, -2, 0), (0, 1, 0)),
        _unit(_NONE, (0, 1, -1), (0, -1, 1)),
        _unit((1, -2, 1), (-2, 4, -2), (1, -2, 1)),
    ]
).astype(np.float32)
"""float32 (6, 3, 3): differences along rows, columns and both, of first and second order; each of length 1, so that
noise that is the same everywhere gives residuals of its own size."""


def residual_count(shape: tuple[int, int, int]) -> int:
    """Statistics an image of a shape (channels, height, width) gives."""
    return octaves(*shape[1:]) * shape[0] * len(KERNELS) * len(SCALES)


def octaves(height: int, width: int) -> int:
    """How often an image is looked at: as it is, and at half and a quarter of its size, unless they are tiny."""
    return next((k for k in range(1, MOST_OCTAVES) if min(height, width) >> k < LEAST_SIDE), MOST_OCTAVES)


def residual_statistics(images: Float32Array) -> Float32Array:
    """How much noise there is, by octave, plane, kernel and scale.

    Args:
        images: float32 (N, channels, height, width), canonical.

    Returns:
        float32 (N, `residual_count`), >= 0: ``-log(mean(exp(-|r| / scale)))`` of the residuals r of a plane by a
        kernel, in levels. Where most are small beside the scale it is about their mean size in scales; it hardly heeds
        a few large ones, which are edges.
    """
    planes = np.einsum("pc,nchw->nphw", plane_weights(images.shape[1]), images * np.float32(LEVELS), dtype=np.float32)
    found = []
    for octave in range(octaves(*images.shape[2:])):
        planes = _halved(planes) if octave else planes
        found.append(_statistics(planes))
    return np.concatenate(found, axis=1)


def _statistics(planes: Float32Array) -> Float32Array:
    """Of one octave: float32 (N, planes * kernels * scales)."""
    height, width = planes.shape[2:]
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    shares = []
    for kernel in KERNELS:
        size = np.zeros_like(planes)
        for row, column in np.argwhere(kernel):
            size += kernel[row, column] * padded[:, :, row : row + height, column : column + width]
        np.abs(size, out=size)
        shares.append([np.exp(size / np.float32(-scale)).mean(axis=(2, 3)) for scale in SCALES])
    small = np.asarray(shares, np.float32).transpose(2, 3, 0, 1).reshape(len(planes), -1)
    return -np.log((small + np.float32(LEAST_SHARE)) / np.float32(1 + LEAST_SHARE))


def _halved(planes: Float32Array) -> Float32Array:
    """Half the size, by means of two by two; an odd last row or column is left out."""
    count, channels, height, width = planes.shape
    even = planes[:, :, : height // 2 * 2, : width // 2 * 2]
    halved: Float32Array = even.reshape(count, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
    return halved


def plane_weights(channels: int) -> Float32Array:
    """float32 (planes, channels), orthonormal: brightness, then each channel against the ones before it (Helmert).

    Colour varies less than brightness in what cameras take, and noise that heeds no colour stands out there.
    """
    against = (np.concatenate([np.ones(at), [-at], np.zeros(channels - at - 1)]) for at in range(1, channels))
    rows = [np.ones(channels), *against]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)
