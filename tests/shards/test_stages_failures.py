from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import CalibrationError
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

    from detector.shards.stages import Arrays


def _ones() -> Arrays:
    return {"ones": np.ones(100)}


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbage", "header"])
def test_a_damaged_stage_is_made_again(tmp_path: Path, damage: str) -> None:
    store = StageStore(tmp_path, {})
    store.run("walk", _ones)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(
        {"truncated": content[:-8], "emptied": b"", "garbage": b"\xff" * 300, "header": b"\0" * 8 + content[8:]}[damage]
    )
    arrays, found = store.run("walk", _ones)
    assert not found
    np.testing.assert_array_equal(arrays["ones"], np.ones(100))
    _, found = store.run("walk", _ones)
    assert found


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_stage_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> Arrays:
        raise error

    store = StageStore(tmp_path, {})
    with pytest.raises(error):
        store.run("walk", interrupted)
    assert list(tmp_path.iterdir()) == []
    _, found = store.run("walk", _ones)
    assert not found


def test_what_can_not_be_written_whole_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="dtype"):
        StageStore(tmp_path, {}).run("walk", lambda: {"objects": np.array([object()])})
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_reported_by_name(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    with pytest.raises(CalibrationError, match="work: a finished stage can't be stored"):
        StageStore(tmp_path / "work", {}).run("walk", _ones)
