"""Images in a zip of an image folder, read in place: nothing is ever extracted to disk."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from detector.data.decode import DEFAULT_LIMITS, DecodeLimits, check_bytes, decode_image
from detector.data.layout import MAX_LABELS_BYTES, Layout, find_layout, is_image
from detector.data.source import MAX_IMAGES, ImageSource, SkippedImage
from detector.data.zips import BROKEN, opened_zip
from detector.errors import DataError, InvalidInputError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.classifiers.base import UInt8Array
    from detector.data.source import Reader

# Image files hardly shrink any more; only large uncompressed ones (BMP) do, and not even drawings pass this.
_MAX_RATIO: Final = 500
_RATIO_FREE_BYTES: Final = 1 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1


class ArchiveSource(ImageSource):
    """The images of a zip.

    Args:
        path: The zip.
        layout: What it holds, paths as the zip names them.
        limits: How large a member may be, unpacked.
    """

    def __init__(self, path: Path, layout: Layout, *, limits: DecodeLimits = DEFAULT_LIMITS) -> None:
        super().__init__(
            names=layout.paths, labels=layout.labels, class_names=layout.class_names, refused=layout.refused
        )
        self._path = path
        self._limits = limits

    @contextmanager
    def _reader(self, shape: tuple[int, int, int]) -> Iterator[Reader]:
        with opened_zip(self._path) as archive:

            def read(index: int) -> tuple[UInt8Array, int | None]:
                name = self.names[index]
                data = _member(archive, name, self._limits)
                return decode_image(data, shape, limits=self._limits, field=name), self.label_of(index)

            yield read


def open_archive(path: Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> ArchiveSource:
    """Recognise how a zip is laid out (see `detector.data.layout`); unpacks nothing but its labels.csv.

    Raises:
        DataError: Not a zip, no image in it, or its labels.csv is unreadable.
    """
    with opened_zip(path) as archive:
        if len(archive.infolist()) > MAX_IMAGES:
            raise DataError(f"{path}: more than {MAX_IMAGES} members; give a part of them")
        names = dict.fromkeys(archive.namelist())  # a name may stand there twice; the last one counts
        unsafe = [name for name in names if not _is_inside(name)]
        safe = [name for name in names if _is_inside(name)]
        layout = find_layout(
            [name for name in safe if not name.endswith("/")],
            [name for name in safe if name.endswith("/")],
            lambda member: _table(archive, member, path),
            str(path),
        )
    refused = tuple(SkippedImage(name, "its path leads out of the zip") for name in unsafe if is_image(name))
    whole = Layout(layout.paths, layout.labels, layout.class_names, (*refused, *layout.refused))
    return ArchiveSource(path, whole, limits=limits)


def _is_inside(name: str) -> bool:
    """Whether a member's name stays below the zip's root. Nothing is extracted, but names reach logs and reports."""
    return not name.startswith("/") and ":" not in name.partition("/")[0] and ".." not in name.split("/")


def _member(archive: zipfile.ZipFile, name: str, limits: DecodeLimits) -> bytes:
    """Unpack one member; what it declares is checked before a byte is read, and no more than that is ever read.

    Raises:
        InvalidInputError: Encrypted, packed by an unusual method, or damaged.
        LimitExceededError: Too large, or packed suspiciously tight.
    """
    info = archive.getinfo(name)
    check_bytes(info.file_size, limits, name)
    if info.file_size > max(_RATIO_FREE_BYTES, _MAX_RATIO * info.compress_size):
        raise LimitExceededError(f"packed more than {_MAX_RATIO} times, as no image is", field=name)
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise InvalidInputError("is encrypted or not packed by deflate; pack it again, plainly", field=name)
    try:
        with archive.open(info) as member:
            return member.read(limits.max_bytes)
    except BROKEN as error:
        raise InvalidInputError("is damaged inside the zip", field=name) from error


def _table(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return _member(archive, name, DecodeLimits(max_bytes=MAX_LABELS_BYTES))
    except (InvalidInputError, LimitExceededError) as error:
        raise DataError(f"{path}/{error}") from error
