"""Encoded images to pixels: JPEG, PNG, WebP and BMP, from anyone, within fixed limits. Never loads torch.

A file's size in pixels is read from its header and checked before any pixel is decoded, so a few kilobytes can't
claim gigabytes. Pillow's format classes are used directly: `PIL.Image.open` would try formats nobody asked for, and
answers large images with a warning that can't be silenced safely while other threads run.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from detector.errors import InvalidInputError, LimitExceededError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from detector.classifiers.base import UInt8Array

# Pillow warns about odd metadata with texts made from the file, and Python keeps every new text for ever: a caller
# could grow the process. Bad metadata is of no interest here; bad pixels raise.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_MEBI: Final = 1 << 20
# Every scan of a progressive JPEG costs a pass over the whole image, and an empty one costs its sender a few bytes.
# Encoders write about ten.
_MAX_JPEG_SCANS: Final = 100
_START_OF_SCAN: Final = b"\xff\xda"
_SUFFIXES: Final[dict[type[ImageFile], str]] = {
    JpegImageFile: ".jpg",
    PngImageFile: ".png",
    WebPImageFile: ".webp",
    BmpImageFile: ".bmp",
}
_WHITE: Final = (255, 255, 255, 255)
_TURNED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """How large an encoded image may be.

    Args:
        max_bytes: Of the file.
        max_pixels: Width times height, as the file's header says. One decoding takes up to 20 bytes per
            pixel, for a transparent WebP; 3 to 8 for most files.
        max_side: Pixels of the longer side. Scaling a narrow strip to the classifier's size would otherwise need far
            more memory than the strip itself.
    """

    max_bytes: int = 16 * _MEBI
    max_pixels: int = 32_000_000
    max_side: int = 32_768


DEFAULT_LIMITS: Final = DecodeLimits()


def decode_image(
    data: bytes, shape: tuple[int, int, int], *, limits: DecodeLimits = DEFAULT_LIMITS, field: str = "image"
) -> UInt8Array:
    """Decode one image file and scale it to the classifier's size.

    The whole image is stretched to (height, width) by bilinear filtering with antialiasing: nothing is cropped and
    the aspect ratio is not kept. An image that already has the size keeps its pixels. EXIF orientation is applied;
    transparency is laid over white, as a viewer shows it; 16-bit grey keeps its upper byte; CMYK and palettes become
    RGB without colour management. Of an animation the first frame counts. Safe to call from several threads.

    Args:
        data: A JPEG, PNG, WebP or BMP file.
        shape: What the classifier takes: (channels, height, width), channels 3 (RGB) or 1 (grey).
        limits: How large the file may be.
        field: The caller's name for `data`, for error messages.

    Returns:
        uint8 (height, width, channels), values 0..255, a new contiguous array.

    Raises:
        InvalidInputError: Empty, of another format, truncated or corrupt.
        LimitExceededError: More bytes or pixels than `limits` allow; raised before any pixel is decoded.
    """
    image = _open(data, limits, field)
    try:
        return _decoded(image, shape)
    except Exception as error:  # Pillow raises almost anything on hostile bytes: OSError, struct.error, KeyError...
        raise InvalidInputError(_reason(error), field=field) from error


def fit_image(image: Image.Image, shape: tuple[int, int, int]) -> UInt8Array:
    """Scale an image that is already in memory as `decode_image` does, without its orientation.

    Args:
        image: Any Pillow image.
        shape: What the classifier takes: (channels, height, width).

    Returns:
        uint8 (height, width, channels), values 0..255, a new contiguous array.
    """
    return _flatten(_scale(image, (shape[2], shape[1])), shape)


def fit_pixels(pixels: UInt8Array, shape: tuple[int, int, int]) -> UInt8Array:
    """Scale pixels as `fit_image` does; `pixels` are uint8 (H, W, 1) or (H, W, 3)."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return fit_image(image, shape)


def check_bytes(size: int, limits: DecodeLimits, field: str) -> None:
    """Refuse a file of `size` bytes before it is read.

    Raises:
        LimitExceededError: `size` is above ``limits.max_bytes``.
    """
    if size > limits.max_bytes:
        raise LimitExceededError(f"{size} bytes, at most {limits.max_bytes} are accepted", field=field)


def _open(data: bytes, limits: DecodeLimits, field: str) -> ImageFile:
    if not data:
        raise InvalidInputError("is empty; send a JPEG, PNG or WebP file", field=field)
    check_bytes(len(data), limits, field)
    kind = _kind(data)
    if kind is None:
        raise InvalidInputError("is not a JPEG, PNG or WebP file", field=field)
    if kind is WebPImageFile:  # Pillow allocates the whole canvas as soon as it opens a WebP
        _check_size(_webp_size(data), limits, field)
    if kind is JpegImageFile and (scans := data.count(_START_OF_SCAN)) > _MAX_JPEG_SCANS:
        raise LimitExceededError(f"{scans} JPEG scans, at most {_MAX_JPEG_SCANS} are accepted", field=field)
    try:
        image = kind(io.BytesIO(data))
    except Exception as error:  # as in decode_image
        raise InvalidInputError(_reason(error), field=field) from error
    _check_size(image.size, limits, field)
    return image


def image_suffix(data: bytes) -> str:
    """What the name of an image file ends in, such as ``.png``; ``.bin`` of a file that can't be decoded here."""
    kind = _kind(data)
    return ".bin" if kind is None else _SUFFIXES[kind]


def _kind(data: bytes) -> type[ImageFile] | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    return BmpImageFile if data.startswith(b"BM") else None


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from a WebP header; (0, 0) where there is none, which opening it then refuses."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return 0, 0


def _check_size(size: tuple[int, int], limits: DecodeLimits, field: str) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise LimitExceededError(
            f"{width} x {height} pixels, at most {limits.max_pixels} pixels are accepted; send a smaller image",
            field=field,
        )
    if max(width, height) > limits.max_side:
        raise LimitExceededError(
            f"{width} x {height} pixels, no side may pass {limits.max_side}; send a smaller image", field=field
        )


def _reason(error: Exception) -> str:
    """A reason in our own words: Pillow's texts may show addresses and paths."""
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "is truncated; send the whole file"
    return "is corrupt and can't be decoded; save it again as JPEG, PNG or WebP"


def _decoded(image: ImageFile, shape: tuple[int, int, int]) -> UInt8Array:
    size = (shape[2], shape[1])
    side = 2 * max(size)
    if isinstance(image, JpegImageFile) and min(image.size) >= 2 * side:
        image.draft(image.mode, (side, side))  # a JPEG shrinks for free while decoding; the filter still halves it
    image.load()
    turn = _orientation(image)
    # Scaled before it is turned and flattened: those steps then cost next to nothing.
    scaled = _scale(image, size[::-1] if turn in _SIDEWAYS else size)
    return _flatten(scaled.transpose(_TURNED[turn]) if turn in _TURNED else scaled, shape)


def _scale(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    expanded = _expand(image)
    return expanded if expanded.size == size else expanded.resize(size, Image.Resampling.BILINEAR)


def _flatten(image: Image.Image, shape: tuple[int, int, int]) -> UInt8Array:
    channels, height, width = shape
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image.convert("RGBA"))
    pixels = np.array(image.convert("RGB" if channels > 1 else "L"), dtype=np.uint8)
    return pixels.reshape(height, width, channels)


def _orientation(image: Image.Image) -> int:
    try:
        turn = image.getexif().get(Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - unreadable metadata means no orientation; the pixels are still good
        return 1
    return turn if isinstance(turn, int) else 1


def _expand(image: Image.Image) -> Image.Image:
    """Turn modes that can't be filtered (palette, bilevel, 16-bit, colour-keyed) into ones that can."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 0xFFFF) >> 8).astype(np.uint8))
    if image.mode in {"P", "PA"} or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image
