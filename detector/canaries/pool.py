"""What canaries are chosen from: held-out images, and synthetic inputs that excite what such images leave at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

REAL: Final = 96
"""Held-out images that are looked at, at most."""
_OF_EACH_KIND: Final = 24
_HARSHER: Final = 4  # times the contrast
_BLOCKS: Final = 8  # to a side
_LEVELS: Final = 255


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates.

    Args:
        images: float32 (N, channels, height, width), canonical, of whole levels of 255 where they are synthetic.
        real: bool (N,): which of them are held-out images as they came.
    """

    images: Float32Array
    real: NDArray[np.bool_]


def make_pool(images: Float32Array, *, seed: int) -> Pool:
    """The first held-out images, and synthetic inputs beside them.

    Synthetic are: such images in four times their contrast and in negative, random blocks of colour, and pixels that
    are black or white at random.

    Args:
        images: float32 (N, channels, height, width), canonical, N >= 1.
        seed: Of what is random.
    """
    real = images[:REAL]
    seeds, generator = real[:_OF_EACH_KIND], np.random.default_rng(seed)
    shape = (_OF_EACH_KIND, *images.shape[1:])
    synthetic = [
        (seeds - 0.5) * _HARSHER + 0.5,
        1 - seeds,
        _blocks(shape, generator),
        generator.integers(0, 2, shape),
    ]
    rounded = [(np.rint(np.clip(one, 0, 1) * _LEVELS) / _LEVELS).astype(np.float32) for one in synthetic]
    together = np.concatenate([real, *rounded])
    return Pool(together, np.arange(len(together)) < len(real))


def _blocks(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
    """Blocks of normally distributed intensity, half of full intensity apart."""
    count, channels, height, width = shape
    coarse = generator.normal(0.5, 0.5, (count, channels, _BLOCKS, _BLOCKS))
    rows, columns = np.arange(height) * _BLOCKS // height, np.arange(width) * _BLOCKS // width
    return coarse[:, :, rows][:, :, :, columns]
