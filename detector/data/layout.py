"""How the files of a folder or a zip become a labelled data set: class sub-folders, a labels.csv, or no labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from detector.data.source import SkippedImage
from detector.errors import DataError

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
LABELS_FILE: Final = "labels.csv"
MAX_LABELS_BYTES: Final = 256 << 20
_JUNK: Final = "__MACOSX"
_MAX_INDEX_DIGITS: Final = 10

ReadText = Callable[[str], bytes]
"""Reads a member that is not an image, given its path."""


@dataclass(frozen=True)
class Layout:
    """What a folder or zip holds.

    Args:
        paths: Of the images, relative to the folder or zip, with forward slashes; sorted.
        labels: One per path, indices into `class_names` (class indices as they stand without them), or None.
        class_names: Sorted by name, or None.
        refused: Files that can't be used, with the reason.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    refused: tuple[SkippedImage, ...] = ()


def find_layout(files: Sequence[str], folders: Sequence[str], read: ReadText, where: str) -> Layout:
    """Recognise how a data set is laid out.

    A single folder around everything is looked through. Then, in this order: a ``labels.csv`` beside the images
    (columns ``file`` and ``label``; a label is a class index, or a class name if any label isn't a whole number);
    class sub-folders, numbered in the order of their names; images without labels.

    Args:
        files: All members' paths, relative, with forward slashes.
        folders: All folders' paths; an empty class folder is a class without images.
        read: Reads ``labels.csv``.
        where: The folder's or zip's name, for error messages.

    Returns:
        The layout; images that fit none of it are refused, one by one.

    Raises:
        DataError: No image at all, or an unreadable labels.csv.
    """
    visible = [path for path in files if not _is_hidden(path)]
    images = sorted(path for path in visible if is_image(path))
    if not images:
        raise DataError(f"{where}: no image found; looked for {_suffixes()} files, also in sub-folders")
    empty = _empty(folders, visible)
    root = _root(images, visible, empty)
    table = f"{root}{LABELS_FILE}"
    if table in visible:
        return _from_table(images, root, read(table), f"{where}/{table}")
    inner = [path for path in images if "/" in path[len(root) :]]
    if not inner:
        return Layout(tuple(images), None, None)
    return _from_folders(images, inner, empty, root)


def is_image(path: str) -> bool:
    """Whether a path ends like an image's."""
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def is_index(label: str) -> bool:
    """Whether a label is a class index written out, of a size that fits any integer type."""
    return label.isascii() and label.isdecimal() and len(label) < _MAX_INDEX_DIGITS


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part == _JUNK for part in path.split("/"))


def _suffixes() -> str:
    return ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))


def _empty(folders: Sequence[str], files: Sequence[str]) -> list[str]:
    """Folders without any file in them or below them, with a slash at the end."""
    full = {f"{parent}/" for path in files for parent in PurePosixPath(path).parents}
    named = {f"{folder.rstrip('/')}/" for folder in folders}
    return sorted(folder for folder in named - full if not _is_hidden(folder))


def _head(path: str, root: str) -> str:
    """The first folder of a path below `root`; empty where the file itself is there."""
    return path[len(root) :].rpartition("/")[0].partition("/")[0]


def _root(images: Sequence[str], files: Sequence[str], empty: Sequence[str]) -> str:
    """The folders around everything, such as ``test/``, or an empty string."""
    present = set(files)
    root = ""
    while root + LABELS_FILE not in present:
        heads = {_head(path, root) for path in (*images, *empty)}
        if len(heads) > 1 or "" in heads:
            break
        root += f"{heads.pop()}/"
    return root


def _from_folders(images: Sequence[str], inner: Sequence[str], empty: Sequence[str], root: str) -> Layout:
    class_names = tuple(sorted({_head(path, root) for path in (*inner, *empty)} - {""}))
    index = {name: i for i, name in enumerate(class_names)}
    labels = tuple(index[_head(path, root)] for path in inner)
    loose = sorted(set(images) - set(inner))
    refused = tuple(SkippedImage(path, "lies beside the class folders, so it has no class") for path in loose)
    return Layout(tuple(inner), labels, class_names, refused)


def _from_table(images: Sequence[str], root: str, data: bytes, where: str) -> Layout:
    rows = _rows(data, where)
    present = set(images)
    refused = [
        SkippedImage(root + file, f"named in {LABELS_FILE}, but there is no such {_suffixes()} file")
        for file in rows
        if root + file not in present
    ]
    refused += [SkippedImage(path, f"has no row in {LABELS_FILE}") for path in images if path[len(root) :] not in rows]
    used = [path for path in images if path[len(root) :] in rows]
    labels, class_names = _numbered([rows[path[len(root) :]] for path in used], list(rows.values()))
    return Layout(tuple(used), labels, class_names, tuple(refused))


def _rows(data: bytes, where: str) -> dict[str, str]:
    """File -> label of a labels.csv."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True, skipinitialspace=True)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {"file", "label"} <= set(reader.fieldnames):
            raise DataError(f"{where}: the first line must name the columns file and label (file,label)")
        rows: dict[str, str] = {}
        for row in reader:
            file, label = _path(row["file"]), (row["label"] or "").strip()
            if not file or not label:
                raise DataError(f"{where}, line {reader.line_num}: a file and a label are needed")
            if rows.setdefault(file, label) != label:
                raise DataError(f"{where}, line {reader.line_num}: {file} has two labels, {rows[file]} and {label}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: not a CSV file in UTF-8: {error}") from error
    return rows


def _path(cell: str | None) -> str:
    return (cell or "").strip().replace("\\", "/").removeprefix("./")


def _numbered(used: Sequence[str], known: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """Labels as numbers; `known` holds the labels of all rows, so a missing file does not renumber the classes."""
    if all(is_index(label) for label in known):
        return tuple(int(label) for label in used), None
    class_names = tuple(sorted(set(known)))
    index = {name: i for i, name in enumerate(class_names)}
    return tuple(index[label] for label in used), class_names
