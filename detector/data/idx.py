"""Gzipped idx files: the format of MNIST. They are read whole."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.data.decode import DEFAULT_LIMITS, fit_pixels
from detector.data.source import MAX_IMAGES, ImageSet, ImageSource
from detector.errors import DataError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import UInt8Array
    from detector.data.source import Reader

GZIP: Final = b"\x1f\x8b"
"""How these files begin."""
_IMAGES: Final = b"\x00\x00\x08\x03"  # unsigned bytes, three axes
_LABELS: Final = b"\x00\x00\x08\x01"  # unsigned bytes, one axis
_SIZE: Final = struct.Struct(">I")
_MAX_BYTES: Final = 256 << 20


class IdxSource(ImageSource):
    """The images of an idx file, named ``<file>[0]``, ``<file>[1]``, ...

    Args:
        images: In memory.
    """

    def __init__(self, images: ImageSet) -> None:
        super().__init__(names=images.names, labels=images.labels, class_names=None)
        self._pixels = images.pixels
        self.own_shape = (1, *images.pixels.shape[1:3])

    def _reader(self, shape: tuple[int, int, int]) -> AbstractContextManager[Reader]:
        def read(index: int) -> tuple[UInt8Array, int | None]:
            pixels = self._pixels[index]
            return pixels if shape == self.own_shape else fit_pixels(pixels, shape), self.label_of(index)

        return nullcontext(read)


def open_idx(path: Path) -> IdxSource:
    """Read an idx file of images, and their labels where these lie beside it.

    Args:
        path: Such as ``t10k-images-idx3-ubyte.gz``; its labels are then looked for in ``t10k-labels-idx1-ubyte.gz``.

    Raises:
        DataError: As for `read_idx`.
    """
    labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if labels != path and labels.is_file():
        return IdxSource(read_idx(path, labels, MAX_IMAGES))
    pixels = read_idx_images(path, MAX_IMAGES)
    names = tuple(f"{path.name}[{i}]" for i in range(len(pixels)))
    return IdxSource(ImageSet(pixels=pixels[..., None], labels=None, names=names))


def read_idx(images: Path, labels: Path, limit: int) -> ImageSet:
    """The first images of a pair of gzipped idx files, with their labels.

    Args:
        images: Such as ``t10k-images-idx3-ubyte.gz``.
        labels: Such as ``t10k-labels-idx1-ubyte.gz``.
        limit: Most images read, >= 1.

    Raises:
        DataError: As for `read_idx_images`; or there are not as many labels.
    """
    pixels, shown = read_idx_images(images, limit), read_idx_labels(labels, limit)
    if len(pixels) != len(shown):
        raise DataError(f"{labels}: {len(shown)} labels for the {len(pixels)} images of {images}")
    names = tuple(f"{images.name}[{i}]" for i in range(len(pixels)))
    return ImageSet(pixels=pixels[..., None], labels=shown, names=names)


def read_idx_images(path: Path, limit: int) -> UInt8Array:
    """The first images of a gzipped idx3 file.

    Args:
        path: Such as ``t10k-images-idx3-ubyte.gz``.
        limit: Most images read, >= 1.

    Returns:
        uint8 (min(N, limit), H, W), N >= 1.

    Raises:
        DataError: Not such a file, cut off, damaged, empty, or its images are too large; names the file.
    """
    return _read(path, _IMAGES, limit, "images (uint8, three axes)")


def read_idx_labels(path: Path, limit: int) -> NDArray[np.int64]:
    """The first labels of a gzipped idx1 file: int64 (min(N, limit),), N >= 1.

    Args:
        path: Such as ``t10k-labels-idx1-ubyte.gz``.
        limit: Most labels read, >= 1.

    Raises:
        DataError: As for `read_idx_images`.
    """
    return _read(path, _LABELS, limit, "labels (uint8, one axis)").astype(np.int64)


def _read(path: Path, magic: bytes, limit: int, wanted: str) -> UInt8Array:
    try:
        with gzip.open(path) as file:
            if file.read(len(magic)) != magic:
                raise DataError(f"{path}: not a gzipped idx file of {wanted}")
            shape = _shape(file.read(_SIZE.size * magic[-1]), magic[-1], limit, path)
            data = file.read(math.prod(shape))
            file.read(1)  # at the end of a file read whole, its checksum is held against its bytes
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: unreadable: {error}") from error
    if len(data) != math.prod(shape):
        told = " x ".join(map(str, shape))
        raise DataError(f"{path}: cut off: its header's sizes, {told}, and {len(data)} bytes disagree")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()


def _shape(data: bytes, axes: int, limit: int, path: Path) -> tuple[int, ...]:
    """Entries to read, and their sides, held against the limits before anything is allocated for them."""
    if len(data) != _SIZE.size * axes:
        raise DataError(f"{path}: cut off within its header")
    count, *sides = (size for (size,) in _SIZE.iter_unpack(data))
    told = " x ".join(map(str, (count, *sides)))
    if 0 in {count, *sides}:
        raise DataError(f"{path}: holds nothing: its sizes are {told}")
    wanted = min(count, limit)
    if max(sides, default=0) > DEFAULT_LIMITS.max_side or wanted * math.prod(sides) > _MAX_BYTES:
        raise DataError(
            f"{path}: sizes {told} are too large; no side may pass {DEFAULT_LIMITS.max_side}, all that is read "
            f"{_MAX_BYTES} bytes; read fewer"
        )
    return wanted, *sides
