"""Names of classes, from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detector.errors import ClassifierError

MAX_LABELS_BYTES = 4 * 1024**2


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read one name per class.

    Args:
        path: A text file with one name per line; a JSON list of names; or a JSON object from index to name, where the
            name may be the last entry of a list, as in Keras's ``imagenet_class_index.json``. UTF-8, 4 MiB at most.

    Returns:
        The names in class order, without surrounding blanks.

    Raises:
        ClassifierError: The file can't be read, has a gap or an empty name.
    """
    path = Path(path)
    text = _text(path).strip()
    names = _from_json(text, path) if text.startswith(("[", "{")) else text.splitlines()
    labels = tuple(str(name).strip() for name in names)
    if not labels:
        raise ClassifierError(f"{path}: holds no labels")
    if "" in labels:
        raise ClassifierError(f"{path}: the label of class {labels.index('')} is empty")
    return labels


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_LABELS_BYTES:
            raise ClassifierError(f"{path}: {size} bytes; a labels file has at most {MAX_LABELS_BYTES}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ClassifierError(f"{path}: labels can't be read: {error}") from error


def _from_json(text: str, path: Path) -> list[str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClassifierError(f"{path}: looks like JSON but is not: {error}") from error
    entries = _in_order(content, path) if isinstance(content, dict) else content
    return [_name(entry, path) for entry in entries]


def _in_order(content: dict[str, Any], path: Path) -> list[Any]:
    """Values by their integer keys, which must run from 0 without a gap."""
    wanted = [str(index) for index in range(len(content))]
    if set(wanted) != set(content):
        missing = next(index for index in wanted if index not in content)
        raise ClassifierError(f'{path}: a JSON object of labels has keys "0", "1", ...; "{missing}" is missing')
    return [content[index] for index in wanted]


def _name(entry: Any, path: Path) -> str:
    name = entry[-1] if isinstance(entry, list) and entry else entry
    if not isinstance(name, str):
        raise ClassifierError(f"{path}: a label is a string, not {name!r}")
    return name
