"""Images nobody attacked and the classifier was not made for: mixed, or from another data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.corruptions import levels
from detector.data.decode import fit_pixels
from detector.errors import DataError
from detector.images import to_canonical
from detector.paths.pairing import class_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array


def mixed_pairs(images: Float32Array, labels: NDArray[np.int64], seed: int) -> Float32Array:
    """Averages of two images of different classes: the natural control between two classes.

    Args:
        images: float32 (N, C, H, W), canonical.
        labels: int64 (N,).
        seed: Of the pairing.

    Returns:
        float32 (P, C, H, W), whole multiples of 1/255; no image has a part in two of them, so P <= N / 2.

    Raises:
        DataError: No two images of different classes.
    """
    pairs = class_pairs(labels, seed, same=False)
    if not len(pairs):
        raise DataError("labels: mixing images takes two of different classes, and no pair of them was drawn")
    return levels((images[pairs[:, 0]] + images[pairs[:, 1]]) * np.float32(0.5))


def fit_to_shape(images: UInt8Array, shape: tuple[int, int, int]) -> Float32Array:
    """Grey images of another data set as the classifier would take them.

    Args:
        images: uint8 (N, H, W), N >= 1.
        shape: What the classifier takes: (channels, height, width); grey is repeated for three channels.

    Returns:
        float32 (N, channels, height, width), canonical, whole multiples of 1/255, scaled bilinearly.
    """
    return to_canonical(np.stack([fit_pixels(image[:, :, None], shape) for image in images]), shape)
