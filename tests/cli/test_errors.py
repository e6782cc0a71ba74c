from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.cli.errors import BROKEN_PIPE, FAILURE, INTERRUPTED, clear_errors
from detector.errors import DataError
from tests.support.commands import started

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("x.zip: no image found"), FAILURE, "isthmus: x.zip: no image found\n"),
        (KeyboardInterrupt(), INTERRUPTED, "\nisthmus: stopped midway\n"),
        (
            ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"),
            FAILURE,
            "isthmus: this command needs torch: pip install 'isthmus[calibrate]'\n",
        ),
    ],
    ids=["ours", "ctrl-c", "extra"],
)
def test_expected_errors_are_a_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, clear_errors(on_interrupt="stopped midway"):
        raise error
    assert stopped.value.code == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("error", [ValueError("a bug"), ModuleNotFoundError("typo", name="detector.typo")])
def test_bugs_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), clear_errors():
        raise error


def test_a_reader_that_has_seen_enough_is_no_error(digits_bundle: Path) -> None:
    running = started("inspect", str(digits_bundle), "--json")
    assert running.stdout
    assert running.stderr
    running.stdout.close()
    told = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) == BROKEN_PIPE
    assert told == ""
