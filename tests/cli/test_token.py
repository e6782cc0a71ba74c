from __future__ import annotations

from typing import TYPE_CHECKING

from service.identity import Tokens

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Isthmus


def test_the_command_gives_the_line_and_shows_the_token_once(isthmus: Isthmus, tmp_path: Path) -> None:
    told = isthmus("token", "ann")
    assert told.exit_code == 0
    token = told.stderr.removeprefix("token of ann: ").strip()
    (tmp_path / "tokens").write_text(told.stdout)
    assert Tokens(tmp_path / "tokens").caller(token) == "ann"
    assert token not in told.stdout


def test_a_name_of_two_words_is_refused(isthmus: Isthmus) -> None:
    told = isthmus("token", "two words")
    assert told.exit_code == 1
    assert "printable characters without spaces" in told.stderr
