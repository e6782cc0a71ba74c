from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from detector.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def _commands(group: Any, before: str = "") -> dict[str, Any]:
    """Every command by its full name, those of groups too."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {before + name: command} if inner is None else _commands(command, f"{before}{name} ")
    return found


COMMANDS: Mapping[str, Any] = _commands(get_command(app))


def _section(command: str) -> str:
    found = re.search(rf"^## isthmus {command}$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no section '## isthmus {command}'"
    return found[1]


def _options(command: str) -> dict[str, Any]:
    parameters = [p for p in COMMANDS[command].params if p.param_type_name == "option" and p.name != "help"]
    return {name: parameter for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented_and_no_other(command: str) -> None:
    documented = {
        name
        for row in re.findall(r"^\| (`-.*?) \|", _section(command), re.MULTILINE)
        for name in re.findall(r"`(.*?)`", row)
    }
    assert documented == set(_options(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_and_choices_documented_as_defaults_are_the_defaults(command: str) -> None:
    for name, parameter in _options(command).items():
        row = re.search(rf"^\|.*`{re.escape(name)}`.*?\| (.*?) \|", _section(command), re.MULTILINE)
        assert row, name
        default = getattr(parameter.default, "value", parameter.default)
        if isinstance(default, int | float | str) and not isinstance(default, bool):
            assert row[1] == f"`{default}`", name
