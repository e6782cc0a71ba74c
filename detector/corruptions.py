"""Everyday corruptions: how an image may arrive altered by nobody's malice.

They are mild ones, after Hendrycks and Dietterich's (arXiv 1903.12261); a guard that flags them flags what its users
send. Results are what a service sees: whole multiples of 1/255.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from scipy import ndimage

from detector.data.decode import decode_image, fit_pixels
from detector.images import to_canonical, to_pixels
from detector.paths.straight import gaussian_blur

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array, UInt8Array

    Apply = Callable[[Float32Array, np.random.Generator], Float32Array]

_BLUR_SIGMA: Final = 0.5  # pixels
_BLUR_REFERENCE: Final = 32  # pixels; larger images are blurred more, by the root of their side
_SHIFT: Final = 2  # pixels


@dataclass(frozen=True)
class Corruption:
    """One way an image may arrive altered by nobody's malice.

    Args:
        name: With its severity in plain words.
        apply: Canonical images and a generator to altered images of the same shape, float32, not yet clipped or
            rounded.
    """

    name: str
    apply: Apply


def corrupt(corruption: Corruption, images: Float32Array, seed: int) -> Float32Array:
    """Corrupt images.

    Args:
        corruption: Such as one of `CORRUPTIONS`.
        images: float32 (N, C, H, W), canonical, C 1 or 3.
        seed: Of the noise; the same seed gives the same images.

    Returns:
        float32 (N, C, H, W), canonical, whole multiples of 1/255, new.
    """
    return levels(corruption.apply(images, np.random.default_rng(seed)))


def everyday(images: Float32Array, seed: int) -> Float32Array:
    """Corrupt each image in one way of one strength, both drawn anew for each.

    Args:
        images: float32 (N, C, H, W), canonical, C 1 or 3.
        seed: Of what is drawn.

    Returns:
        float32 (N, C, H, W), canonical, whole multiples of 1/255, new.
    """
    rng = np.random.default_rng(seed)
    corrupted = np.empty_like(images)
    for row in range(len(images)):
        apply = _DRAWN[rng.integers(len(_DRAWN))](rng)
        corrupted[row : row + 1] = levels(apply(images[row : row + 1], rng))
    return corrupted


def levels(images: Float32Array) -> Float32Array:
    """Images (N, C, H, W) clipped to [0, 1] and rounded to whole multiples of 1/255."""
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


def _blur(images: Float32Array, _: np.random.Generator, sigma: float) -> Float32Array:
    return gaussian_blur(images, sigma * max(1.0, min(images.shape[2:]) / _BLUR_REFERENCE) ** 0.5)


def _brightness(images: Float32Array, _: np.random.Generator, factor: float) -> Float32Array:
    return images * np.float32(factor)


def _contrast(images: Float32Array, _: np.random.Generator, factor: float) -> Float32Array:
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + np.float32(factor) * (images - mean)


def _shift(images: Float32Array, _: np.random.Generator, pixels: int) -> Float32Array:
    rows, columns = (np.clip(np.arange(n) - pixels, 0, n - 1) for n in images.shape[2:])
    return images[:, :, rows[:, None], columns]


def _rotation(images: Float32Array, _: np.random.Generator, degrees: float) -> Float32Array:
    rotated: Float32Array = ndimage.rotate(images, degrees, axes=(3, 2), reshape=False, order=1, mode="nearest")
    return rotated


def _rescaling(images: Float32Array, _: np.random.Generator, share: float) -> Float32Array:
    def through(pixels: UInt8Array, shape: tuple[int, int, int]) -> UInt8Array:
        channels, height, width = shape
        smaller = (channels, max(1, int(height * share)), max(1, int(width * share)))
        return fit_pixels(fit_pixels(pixels, smaller), shape)

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
    Corruption("Gaussian blur, 0.5 pixel at 32 x 32", partial(_blur, sigma=_BLUR_SIGMA)),
    Corruption("brightness up by 15 %", partial(_brightness, factor=1.15)),
    Corruption("brightness down by 15 %", partial(_brightness, factor=0.85)),
    Corruption("contrast down by 25 %", partial(_contrast, factor=0.75)),
    Corruption("shift by 2 pixels", partial(_shift, pixels=_SHIFT)),
    Corruption("rotation by 5 degrees", partial(_rotation, degrees=5.0)),
    Corruption("downscaling to 3/4 and back", partial(_rescaling, share=0.75)),
)
"""Every corruption an evaluation reports, each a control of its own. Noise is drawn anew; the others are not random."""

_DRAWN: Final[tuple[Callable[[np.random.Generator], Apply], ...]] = (
    lambda rng: partial(_noise, sigma=rng.uniform(1, 10) / 255),
    lambda rng: partial(_noise, sigma=rng.uniform(1, 10) / 255),
    lambda rng: partial(_jpeg, quality=int(rng.integers(30, 96))),
    lambda rng: partial(_blur, sigma=rng.uniform(0.3, 0.8)),
    lambda rng: partial(_brightness, factor=rng.uniform(0.8, 1.2)),
    lambda rng: partial(_contrast, factor=rng.uniform(0.7, 1.1)),
    lambda rng: partial(_shift, pixels=int(rng.choice([-2, -1, 1, 2]))),
    lambda rng: partial(_rotation, degrees=rng.uniform(-7, 7)),
    lambda rng: partial(_rescaling, share=rng.uniform(0.7, 1.0)),
)
"""What `everyday` draws from; noise, the most common, twice."""
