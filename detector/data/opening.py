"""One door to every kind of data set."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from detector.data.archive import open_archive
from detector.data.arrays import open_arrays
from detector.data.decode import DEFAULT_LIMITS, DecodeLimits
from detector.data.folder import open_files, open_folder
from detector.data.idx import GZIP, open_idx
from detector.data.layout import is_image
from detector.data.torchvision_dataset import PREFIX, open_torchvision
from detector.data.zips import opened_zip
from detector.errors import DataError

if TYPE_CHECKING:
    from detector.data.source import ImageSource


def open_images(source: str | Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> ImageSource:
    """Open a data set; no image is decoded yet.

    Args:
        source: An image folder or a zip of one (class sub-folders, or flat with or without a labels.csv), an .npz
            (`images`, optional `labels` and `class_names`), a gzipped idx file of images (its labels beside it), one
            image file, or a torchvision data set such as ``torchvision:CIFAR10?root=/data&train=false``. Files are told
            apart by what they hold, not by name.
        limits: How large an image may be.

    Returns:
        The source, to be iterated with ``load(shape)`` or read with `detector.data.source.read_all`.

    Raises:
        DataError: Nothing there, of no known kind, or without any image; says what was looked for.
        MissingExtraError: Torchvision is asked for and not installed.
    """
    if str(source).startswith(PREFIX):
        return open_torchvision(str(source))
    path = Path(source)
    if path.is_dir():
        return open_folder(path, limits=limits)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give an image folder, a zip of one, an .npz or {PREFIX}NAME")
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder")
    if zipfile.is_zipfile(path):
        return open_arrays(path, limits=limits) if _is_npz(path) else open_archive(path, limits=limits)
    if is_image(path.name):
        return open_files([path], limits=limits)
    if _starts_with(path, GZIP):
        return open_idx(path)
    raise DataError(f"{path}: neither an image nor a zip nor an .npz; a damaged or half-copied one, perhaps?")


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_npz(path: Path) -> bool:
    if path.suffix.lower() == ".npz":
        return True
    with opened_zip(path) as archive:
        return "images.npy" in archive.namelist()
