"""Canonical images: the one conversion from what callers have to what the detector works on."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from detector.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array

_CHANNEL_COUNTS = (1, 3)


def to_canonical(
    images: NDArray[Any], shape: tuple[int, int, int], *, field: str = "images", first: int = 0
) -> Float32Array:
    """Check images and make them canonical: float32 (N, channels, height, width), values in [0, 1].

    Args:
        images: uint8 with values 0..255 or float16/32/64 with values in [0, 1]; (N, H, W, C) or one image (H, W, C).
            Grey images may leave out the channel axis only in the single-image form (H, W).
        shape: What the classifier takes: (channels, height, width).
        field: The caller's name for `images`, for error messages.
        first: Where `images` is part of a larger batch, the index there of its first image, for error messages.

    Returns:
        A new float32 array, (N, channels, height, width).

    Raises:
        InvalidInputError: Wrong dtype, shape or channel count, no image at all, NaN or infinite or out-of-range
            pixels. The message names the field and the first offending image.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise InvalidInputError(f"dtype must be uint8 or floating point, not {images.dtype}", field=field)
    batch = _as_batch(images, shape, field)
    if images.dtype == np.uint8:
        canonical = batch.astype(np.float32) / np.float32(255)
    else:
        with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite and is refused as such
            canonical = batch.astype(np.float32)
        _check_pixels(canonical, field, first)
    return np.ascontiguousarray(canonical.transpose(0, 3, 1, 2))


def to_pixels(images: Float32Array) -> NDArray[np.uint8]:
    """Round canonical images to what a service sees: uint8 (N, height, width, channels)."""
    return np.ascontiguousarray(np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _as_batch(images: NDArray[Any], shape: tuple[int, int, int], field: str) -> NDArray[Any]:
    channels, height, width = shape
    batch = images
    if batch.ndim == 2:  # noqa: PLR2004 - a grey image without its channel axis
        batch = batch[:, :, None]
    if batch.ndim == 3:  # noqa: PLR2004 - one image
        batch = batch[None]
    if batch.ndim != 4:  # noqa: PLR2004 - (N, H, W, C)
        raise InvalidInputError(
            f"shape must be (N, {height}, {width}, {channels}) or one image, not {images.shape}", field=field
        )
    if batch.shape[0] == 0:
        raise InvalidInputError("the batch is empty; send at least one image", field=field)
    if batch.shape[3] != channels:
        hint = "; axes are (N, height, width, channels)" if batch.shape[1] in _CHANNEL_COUNTS else ""
        raise InvalidInputError(f"{channels} channel(s) expected, not {batch.shape[3]}{hint}", field=field)
    if batch.shape[1:3] != (height, width):
        raise InvalidInputError(
            f"{height} x {width} pixels expected, not {batch.shape[1]} x {batch.shape[2]}", field=field
        )
    return batch


def _check_pixels(batch: Float32Array, field: str, first: int) -> None:
    if batch.min() >= 0 and batch.max() <= 1:  # both false where there is a NaN
        return
    finite = np.isfinite(batch).all(axis=(1, 2, 3))
    if not finite.all():
        raise InvalidInputError("has NaN or infinite pixels", field=f"{field}[{first + int(np.argmin(finite))}]")
    outside = int(np.argmin(((batch >= 0) & (batch <= 1)).all(axis=(1, 2, 3))))
    low, high = float(batch[outside].min()), float(batch[outside].max())
    raise InvalidInputError(
        f"float pixels must lie in [0, 1], found {low:.4g} to {high:.4g}; send uint8 for 0..255",
        field=f"{field}[{first + outside}]",
    )


def to_png(pixels: UInt8Array) -> bytes:
    """A PNG file of one image, uint8 (H, W, C): grey, RGB or RGB with opacity."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()
