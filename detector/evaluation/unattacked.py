"""Images nobody attacked and the classifier was not made for: mixed, or from another data set."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.corruptions import levels
from detector.data.decode import DEFAULT_LIMITS, fit_pixels
from detector.errors import DataError
from detector.images import to_canonical
from detector.research.connectivity.pairing import class_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array

_IDX_IMAGES: Final = b"\x00\x00\x08\x03"  # unsigned bytes, three axes
_IDX_SIZES: Final = struct.Struct(">III")
_MAX_IDX_BYTES: Final = 256 << 20


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


def read_idx_images(path: Path, limit: int) -> UInt8Array:
    """The first images of a gzipped idx3 file, the format of MNIST.

    Args:
        path: Such as ``t10k-images-idx3-ubyte.gz``.
        limit: Most images read, >= 1.

    Returns:
        uint8 (min(N, limit), H, W), N >= 1.

    Raises:
        DataError: Not such a file, cut off, damaged, empty, or its images are too large; names the file.
    """
    try:
        with gzip.open(path) as file:
            if file.read(len(_IDX_IMAGES)) != _IDX_IMAGES:
                raise DataError(f"{path}: not a gzipped idx file of images (uint8, three axes)")
            shape = _idx_shape(file.read(_IDX_SIZES.size), limit, path)
            data = file.read(math.prod(shape))
            file.read(1)  # at the end of a file read whole, its checksum is held against its bytes
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: unreadable: {error}") from error
    if len(data) != math.prod(shape):
        raise DataError(f"{path}: cut off: {shape[0]} images of {shape[1]} x {shape[2]} and {len(data)} bytes disagree")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()


def _idx_shape(data: bytes, limit: int, path: Path) -> tuple[int, int, int]:
    """Images to read, and their sides, held against the limits before anything is allocated for them."""
    if len(data) != _IDX_SIZES.size:
        raise DataError(f"{path}: cut off within its header")
    count, height, width = _IDX_SIZES.unpack(data)
    if 0 in {count, height, width}:
        raise DataError(f"{path}: holds no pixels: {count} images of {height} x {width}")
    wanted = min(count, limit)
    if max(height, width) > DEFAULT_LIMITS.max_side or wanted * height * width > _MAX_IDX_BYTES:
        raise DataError(
            f"{path}: {wanted} images of {height} x {width} are too large; no side may pass "
            f"{DEFAULT_LIMITS.max_side}, all together {_MAX_IDX_BYTES} pixels; read fewer"
        )
    return wanted, height, width
