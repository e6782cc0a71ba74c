"""Images in a folder: class sub-folders, flat with a labels.csv, or flat without labels."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from typing import TYPE_CHECKING

from detector.data.decode import DEFAULT_LIMITS, DecodeLimits, check_bytes, decode_image
from detector.data.layout import MAX_LABELS_BYTES, Layout, find_layout
from detector.data.source import MAX_IMAGES, ImageSource
from detector.errors import DataError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from detector.classifiers.base import UInt8Array
    from detector.data.source import Reader


class FolderSource(ImageSource):
    """The images of a folder.

    Args:
        root: The folder.
        layout: What it holds, paths relative to `root`.
        limits: How large a file may be.
    """

    def __init__(self, root: Path, layout: Layout, *, limits: DecodeLimits = DEFAULT_LIMITS) -> None:
        super().__init__(
            names=layout.paths, labels=layout.labels, class_names=layout.class_names, refused=layout.refused
        )
        self._root = root
        self._limits = limits

    def _reader(self, shape: tuple[int, int, int]) -> AbstractContextManager[Reader]:
        def read(index: int) -> tuple[UInt8Array, int | None]:
            name = self.names[index]
            data = read_bounded(self._root / name, self._limits, name)
            return decode_image(data, shape, limits=self._limits, field=name), self.label_of(index)

        return nullcontext(read)


def open_folder(root: Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> FolderSource:
    """Recognise how a folder is laid out (see `detector.data.layout`); decodes nothing.

    Raises:
        DataError: It can't be listed, holds no image, or its labels.csv is unreadable.
    """
    try:
        files, folders = _listing(root)
        layout = find_layout(files, folders, lambda path: _read_table(root, path), str(root))
    except OSError as error:
        raise DataError(f"{error.filename or root}: can't be read: {error.strerror}") from error
    return FolderSource(root, layout, limits=limits)


def open_files(paths: Sequence[Path], *, limits: DecodeLimits = DEFAULT_LIMITS) -> FolderSource:
    """Single image files, without labels, under the names they are given by.

    A file that does not exist or is no image is skipped when it is its turn.

    Raises:
        DataError: No path at all.
    """
    if not paths:
        raise DataError("no image file is given")
    # An absolute path joined to the working folder stays as it is.
    current = type(paths[0])()
    return FolderSource(current, Layout(tuple(str(path) for path in paths), None, None), limits=limits)


def read_bounded(path: Path, limits: DecodeLimits, field: str) -> bytes:
    """Read a file unless it is too large.

    Raises:
        InvalidInputError: Not a regular file.
        LimitExceededError: More bytes than ``limits.max_bytes``.
        OSError: It can't be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe could wait for ever
        raise InvalidInputError("is not a regular file", field=field)
    check_bytes(status.st_size, limits, field)
    with path.open("rb") as file:
        return file.read(limits.max_bytes + 1)  # the file may have grown since; decoding notices the one byte more


def _read_table(root: Path, path: str) -> bytes:
    if (root / path).stat().st_size > MAX_LABELS_BYTES:
        raise DataError(f"{root / path}: larger than {MAX_LABELS_BYTES >> 20} MiB, which no labels file should be")
    return (root / path).read_bytes()


def _listing(root: Path) -> tuple[list[str], list[str]]:
    """Regular files and folders below `root`, relative, through links but never in circles."""
    files: list[str] = []
    folders: list[str] = []
    seen = {os.path.realpath(root)}
    for parent, inner, names in os.walk(root, followlinks=True, onerror=_raise):
        base = os.path.relpath(parent, root).replace(os.sep, "/")
        prefix = "" if base == "." else f"{base}/"
        inner[:] = sorted(name for name in inner if _is_new(os.path.join(parent, name), seen))  # noqa: PTH118 - faster
        folders += [prefix + name for name in inner]
        files += [prefix + name for name in sorted(names)]
        if len(files) > MAX_IMAGES:
            raise DataError(f"{root}: more than {MAX_IMAGES} files; give a part of them")
    return files, folders


def _raise(error: OSError) -> None:
    raise error


def _is_new(folder: str, seen: set[str]) -> bool:
    real = os.path.realpath(folder)
    if real in seen:
        return False
    seen.add(real)
    return True
