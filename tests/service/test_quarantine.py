from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from detector.errors import SettingsError
from service.quarantine import Quarantine

if TYPE_CHECKING:
    from pathlib import Path


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_oldest_make_room(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "quarantine"
    kept = Quarantine(folder, max_bytes=100)
    for number in range(5):
        assert kept.keep(f"{number}.png", bytes(30)) == f"{number}.png"
    assert _names(folder) == {"2.png", "3.png", "4.png"}
    assert folder.stat().st_mode & 0o077 == 0
    kept.keep("large.png", bytes(70))
    assert _names(folder) == {"4.png", "large.png"}


def test_the_same_image_is_kept_once(tmp_path: Path) -> None:
    kept = Quarantine(tmp_path, max_bytes=100)
    for _ in range(3):
        assert kept.keep("same", bytes(60)) == "same"
    assert _names(tmp_path) == {"same"}
    assert kept.keep("other", bytes(40)) == "other"
    assert _names(tmp_path) == {"same", "other"}


def test_an_image_larger_than_the_budget_is_not_kept_and_drives_nothing_out(tmp_path: Path) -> None:
    kept = Quarantine(tmp_path, max_bytes=100)
    kept.keep("small", bytes(10))
    assert kept.keep("huge", bytes(101)) is None
    assert _names(tmp_path) == {"small"}


def test_files_of_an_earlier_run_count_and_go_first(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old"]):
        (tmp_path / name).write_bytes(bytes(40))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    kept = Quarantine(tmp_path, max_bytes=100)
    kept.keep("newest", bytes(50))
    assert _names(tmp_path) == {"new", "newest"}


def test_what_cannot_be_written_leaves_nothing_and_takes_no_room(tmp_path: Path) -> None:
    kept = Quarantine(tmp_path, max_bytes=100)
    with pytest.raises(OSError, match="File name too long"):
        kept.keep("x" * 300, bytes(90))
    assert not _names(tmp_path)
    kept.keep("fits", bytes(100))
    assert _names(tmp_path) == {"fits"}


def test_a_folder_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"quarantine: .*can't be used"):
        Quarantine(tmp_path / "file", max_bytes=100)
