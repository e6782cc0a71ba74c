"""Images in an .npz: `images` uint8 (N, H, W, C), optional `labels` int (N,), optional `class_names`.

Images are streamed one by one from the file, so an .npz larger than memory works. Nothing is unpickled. A damaged
uncompressed file is noticed when its end is read, by its checksum: then the last images are skipped.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib import format as npy

from detector.data.decode import DEFAULT_LIMITS, DecodeLimits, fit_pixels
from detector.data.source import MAX_IMAGES, ImageSource
from detector.data.zips import BROKEN, opened_zip
from detector.errors import DataError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import UInt8Array
    from detector.data.source import Reader

_IMAGE_AXES: Final = 4
_CHANNELS: Final = (1, 3)
_MAX_NAME_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class _Header:
    """What an array says about itself, and where in its file the data start, bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int


class ArraysSource(ImageSource):
    """The images of an .npz, named ``images[0]``, ``images[1]``, ...

    Args:
        path: The .npz.
        header: Of its `images`.
        labels: One per image, or None.
        class_names: What the labels index, or None.
    """

    def __init__(
        self, path: Path, header: _Header, labels: NDArray[np.int64] | None, class_names: tuple[str, ...] | None
    ) -> None:
        names = [f"images[{i}]" for i in range(header.shape[0])]
        super().__init__(names=names, labels=labels, class_names=class_names)
        self._path = path
        self._header = header
        height, width, channels = header.shape[1:]
        self.own_shape = (channels, height, width)

    @contextmanager
    def _reader(self, shape: tuple[int, int, int]) -> Iterator[Reader]:
        image = self._header.shape[1:]
        channels, height, width = shape
        with opened_zip(self._path) as archive, archive.open("images.npy") as member:

            def read(index: int) -> tuple[UInt8Array, int | None]:
                data = _slice(member, self._header.offset + index * math.prod(image), math.prod(image), self._path)
                pixels = np.frombuffer(data, np.uint8).reshape(image)
                fits = image == (height, width, channels)
                return pixels.copy() if fits else fit_pixels(pixels, shape), self.label_of(index)

            yield read


def open_arrays(path: Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> ArraysSource:
    """Check an .npz and read its labels; its images stay where they are.

    Raises:
        DataError: Not an .npz, or an array is missing or has the wrong shape, dtype or values; names the array.
    """
    with opened_zip(path, ".npz (written by numpy.savez)") as archive:
        members = set(archive.namelist())
        if "images.npy" not in members:
            found = ", ".join(sorted(name.removesuffix(".npy") for name in members)[:10]) or "nothing"
            raise DataError(f"{path}: no array named images (uint8, (N, H, W, C)); found {found}")
        try:
            header = _check_images(_header(archive, "images"), limits, path)
            labels = _labels(archive, header.shape[0], path) if "labels.npy" in members else None
            class_names = _class_names(archive, path) if "class_names.npy" in members else None
        except BROKEN as error:
            raise DataError(f"{path}: unreadable: {error}") from error
    if labels is not None and class_names is not None and labels.max(initial=0) >= len(class_names):
        raise DataError(f"{path}: labels reach {labels.max()}, but class_names has {len(class_names)} names")
    return ArraysSource(path, header, labels, class_names)


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    """Read an array's header and hold its claims against the member's size; ValueError where they disagree."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        version = npy.read_magic(member)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"{name} has the unknown format version {version}")
        shape, fortran, dtype = read(member)
        header = _Header(shape, dtype, fortran, member.tell())
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never unpickled; save plain numbers or strings")
    if header.offset + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"{name} is cut off: shape {shape} and {info.file_size} bytes disagree")
    return header


def _check_images(header: _Header, limits: DecodeLimits, path: Path) -> _Header:
    shape = header.shape
    if header.dtype != np.uint8:
        raise DataError(f"{path}: images must be uint8 (0..255), not {header.dtype}")
    if len(shape) != _IMAGE_AXES or shape[3] not in _CHANNELS or min(shape) < 1:
        raise DataError(f"{path}: images must be (N, H, W, C) with C 1 or 3 and nothing empty, not {shape}")
    if header.fortran:
        raise DataError(f"{path}: images are in Fortran order; save numpy.ascontiguousarray(images)")
    if shape[0] > MAX_IMAGES or shape[1] * shape[2] > limits.max_pixels or max(shape[1:3]) > limits.max_side:
        raise DataError(
            f"{path}: images {shape} are too large: at most {MAX_IMAGES} images of {limits.max_pixels} pixels, "
            f"no side above {limits.max_side}"
        )
    return header


def _small_array(archive: zipfile.ZipFile, name: str, most: int, path: Path) -> NDArray[Any]:
    header = _header(archive, name)
    if math.prod(header.shape) > MAX_IMAGES or math.prod(header.shape) * header.dtype.itemsize > most:
        raise DataError(f"{path}: {name} has more than {MAX_IMAGES} entries or {most} bytes")
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
    return array


def _labels(archive: zipfile.ZipFile, count: int, path: Path) -> NDArray[np.int64]:
    labels = _small_array(archive, "labels", MAX_IMAGES * 8, path)
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise DataError(f"{path}: labels must be integers ({count},), one per image, not {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise DataError(f"{path}: labels must be class indices from 0, found {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)


def _class_names(archive: zipfile.ZipFile, path: Path) -> tuple[str, ...]:
    names = _small_array(archive, "class_names", _MAX_NAME_BYTES, path)
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataError(f"{path}: class_names must be strings (classes,), not {names.dtype} {names.shape}")
    return tuple(str(name) for name in names)


def _slice(member: IO[bytes], start: int, size: int, path: Path) -> bytes:
    try:
        member.seek(start)
        data = member.read(size)
    except BROKEN as error:
        raise DataError(f"{path}: images is damaged: {error}") from error
    if len(data) != size:
        raise DataError(f"{path}: images is cut off")
    return data
