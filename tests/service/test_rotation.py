from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import SettingsError
from service.rotation import LineFile
from tests.service.support import python_environment


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_full_file_is_set_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = LineFile(path, max_bytes=30, files=3)
    for number in range(10):
        file.append(b"line %04d" % number)  # ten bytes with its end
    assert _lines(path) == ["line 0009"]
    assert _lines(tmp_path / "audit.jsonl.1") == ["line 0006", "line 0007", "line 0008"]
    assert _lines(tmp_path / "audit.jsonl.2") == ["line 0003", "line 0004", "line 0005"]
    assert len(list(tmp_path.iterdir())) == 3


def test_one_file_begins_anew_when_it_is_full(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "one", max_bytes=20, files=1)
    for number in range(5):
        file.append(b"line %04d" % number)
    assert _lines(tmp_path / "one") == ["line 0004"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_line_longer_than_a_file_stands_alone(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log", max_bytes=5, files=2)
    file.append(b"longer than that")
    file.append(b"so is this")
    assert _lines(tmp_path / "log") == ["so is this"]
    assert _lines(tmp_path / "log.1") == ["longer than that"]


def test_it_goes_on_where_it_was_and_others_may_move_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    LineFile(path, max_bytes=100, files=2).append(b"first")
    file = LineFile(path, max_bytes=100, files=2)
    file.append(b"second")
    assert _lines(path) == ["first", "second"]
    path.rename(tmp_path / "taken away")
    file.append(b"third")
    assert _lines(path) == ["third"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    """The limit on a file's size stands in for a full disk: it ends a write in the middle, too."""
    program = f"""
import resource, signal
from pathlib import Path
from service.rotation import LineFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
file = LineFile(Path({str(tmp_path / "log")!r}), max_bytes=1000, files=2)
for number in range(4):
    try:
        file.append(b"line %04d" % number)
    except OSError as error:
        print(number, error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
file.append(b"room again")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=python_environment()
    )
    assert done.stdout.splitlines() == ["2 File too large", "3 File too large"]
    assert _lines(tmp_path / "log") == ["line 0000", "line 0001", "room again"]


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be written: Is a directory"):
        LineFile(tmp_path, max_bytes=100, files=2)
    with pytest.raises(SettingsError, match="No such file or directory"):
        LineFile(tmp_path / "no" / "folder", max_bytes=100, files=2)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    file = LineFile(tmp_path / "log", max_bytes=20, files=2)
    for _ in range(20):
        file.append(b"line")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
