"""Images nobody attacked that are not the test images: corrupted, mixed, or from another data set.

The corruptions are mild ones of everyday, after Hendrycks and Dietterich's (arXiv 1903.12261); a guard that flags them
flags what its users send. Results are what a service sees: whole multiples of 1/255.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from scipy import ndimage

from detector.data.decode import DEFAULT_LIMITS, decode_image, fit_pixels
from detector.errors import DataError
from detector.evaluation.pair_barriers import class_pairs
from detector.images import to_canonical, to_pixels
from detector.paths import gaussian_blur

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array

_BLUR_SIGMA: Final = 0.5  # pixels
_BLUR_REFERENCE: Final = 32  # pixels; larger images are blurred more, by the root of their side
_SHIFT: Final = 2  # pixels
_IDX_IMAGES: Final = b"\x00\x00\x08\x03"  # unsigned bytes, three axes
_IDX_SIZES: Final = struct.Struct(">III")
_MAX_IDX_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Corruption:
    """One way an image may arrive altered by nobody's malice.

    Args:
        name: With its severity in plain words.
        apply: Canonical images and a generator to altered images of the same shape, float32, not yet clipped or
            rounded.
    """

    name: str
    apply: Callable[[Float32Array, np.random.Generator], Float32Array]


def corrupt(corruption: Corruption, images: Float32Array, seed: int) -> Float32Array:
    """Corrupt images.

    Args:
        corruption: Such as one of `CORRUPTIONS`.
        images: float32 (N, C, H, W), canonical, C 1 or 3.
        seed: Of the noise; the same seed gives the same images.

    Returns:
        float32 (N, C, H, W), canonical, whole multiples of 1/255, new.
    """
    return _levels(corruption.apply(images, np.random.default_rng(seed)))


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
    return _levels((images[pairs[:, 0]] + images[pairs[:, 1]]) * np.float32(0.5))


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


def _levels(images: Float32Array) -> Float32Array:
    """Clipped to [0, 1] and rounded to whole multiples of 1/255."""
    _, channels, height, width = images.shape
    return to_canonical(to_pixels(images), (channels, height, width))


def _noise(images: Float32Array, rng: np.random.Generator, sigma: float) -> Float32Array:
    return images + np.float32(sigma) * rng.standard_normal(images.shape, np.float32)


def _jpeg(images: Float32Array, _: np.random.Generator, quality: int) -> Float32Array:
    def through(pixels: UInt8Array, shape: tuple[int, int, int]) -> UInt8Array:
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if shape[0] == 1 else pixels).save(file, "JPEG", quality=quality)
        return decode_image(file.getvalue(), shape)

    return _each(images, through)


def _blur(images: Float32Array, _: np.random.Generator) -> Float32Array:
    return gaussian_blur(images, _BLUR_SIGMA * max(1.0, min(images.shape[2:]) / _BLUR_REFERENCE) ** 0.5)


def _brightness(images: Float32Array, _: np.random.Generator, factor: float) -> Float32Array:
    return images * np.float32(factor)


def _contrast(images: Float32Array, _: np.random.Generator, factor: float) -> Float32Array:
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + np.float32(factor) * (images - mean)


def _shift(images: Float32Array, _: np.random.Generator) -> Float32Array:
    rows, columns = (np.maximum(np.arange(n) - _SHIFT, 0) for n in images.shape[2:])
    return images[:, :, rows[:, None], columns]


def _rotation(images: Float32Array, _: np.random.Generator, degrees: float) -> Float32Array:
    rotated: Float32Array = ndimage.rotate(images, degrees, axes=(3, 2), reshape=False, order=1, mode="nearest")
    return rotated


def _rescaling(images: Float32Array, _: np.random.Generator) -> Float32Array:
    def through(pixels: UInt8Array, shape: tuple[int, int, int]) -> UInt8Array:
        channels, height, width = shape
        return fit_pixels(fit_pixels(pixels, (channels, max(1, height * 3 // 4), max(1, width * 3 // 4))), shape)

    return _each(images, through)


def _each(images: Float32Array, through: Callable[[UInt8Array, tuple[int, int, int]], UInt8Array]) -> Float32Array:
    """Change images one by one, as pixels uint8 (H, W, C), by what is told their (C, H, W)."""
    _, channels, height, width = images.shape
    shape = (channels, height, width)
    return to_canonical(np.stack([through(pixels, shape) for pixels in to_pixels(images)]), shape)


CORRUPTIONS: Final = (
    Corruption("Gaussian noise, 4/255", partial(_noise, sigma=4 / 255)),
    Corruption("Gaussian noise, 8/255", partial(_noise, sigma=8 / 255)),
    Corruption("JPEG, quality 75", partial(_jpeg, quality=75)),
    Corruption("JPEG, quality 40", partial(_jpeg, quality=40)),
    Corruption("Gaussian blur, 0.5 pixel at 32 x 32", _blur),
    Corruption("brightness up by 15 %", partial(_brightness, factor=1.15)),
    Corruption("brightness down by 15 %", partial(_brightness, factor=0.85)),
    Corruption("contrast down by 25 %", partial(_contrast, factor=0.75)),
    Corruption("shift by 2 pixels", _shift),
    Corruption("rotation by 5 degrees", partial(_rotation, degrees=5.0)),
    Corruption("downscaling to 3/4 and back", _rescaling),
)
"""Every corruption an evaluation reports, each a control of its own. Noise is drawn anew; the others are not random."""
