"""Labels from every kind of file, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.classifiers.labels import MAX_LABELS_BYTES, read_labels
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "text": "tench\ngoldfish\nwhite shark\n",
    "text from Windows": "\ufefftench\r\ngoldfish\r\nwhite shark\r\n\r\n",
    "list": '["tench", "goldfish", "white shark"]',
    "mapping": '{"2": "white shark", "0": "tench", "1": "goldfish"}',
    "Keras": '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"], "2": ["n01484850", "white shark"]}',
}
REFUSED = {
    "nothing": ("\n\n", "holds no labels"),
    "a gap in text": ("tench\n\nshark", "class 1 is empty"),
    "a gap in a mapping": ('{"0": "tench", "2": "shark"}', '"1" is missing'),
    "names as keys": ('{"tench": 0}', '"0" is missing'),
    "a number": ("[1, 2]", "a label is a string, not 1"),
    "half a list": ('["tench", ', "looks like JSON but is not"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_labels_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_text(WRITTEN[kind], encoding="utf-8", newline="")
    assert read_labels(path) == ("tench", "goldfish", "white shark")


@pytest.mark.parametrize("kind", REFUSED)
def test_bad_labels_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    text, reason = REFUSED[kind]
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ClassifierError, match=rf"labels\.txt: .*{reason}"):
        read_labels(path)


def test_a_file_that_is_absent_binary_or_huge(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="can't be read"):
        read_labels(tmp_path / "absent.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ClassifierError, match="can't be read"):
        read_labels(tmp_path / "binary")
    (tmp_path / "huge").write_bytes(b"a" * (MAX_LABELS_BYTES + 1))
    with pytest.raises(ClassifierError, match="at most"):
        read_labels(tmp_path / "huge")
