from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.cli.output import result_stream
from detector.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    with result_stream(file) as stream:
        stream.write("half")
        assert not file.exists()
    assert file.read_text() == "half"
    assert list(tmp_path.iterdir()) == [file]


def test_an_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text("old")

    def interrupted(file: Path) -> None:
        with result_stream(file) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_way_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match=r"--output .*taken: can't be written"), result_stream(tmp_path / "taken"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    with result_stream(None) as stream:
        stream.write("here")
    assert capsys.readouterr().out == "here"
