from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.versions import project_version
from tests.service.support import run_python
from tests.support.commands import finished

if TYPE_CHECKING:
    from tests.cli.conftest import Isthmus

COMMANDS = (
    *("calibrate", "transfer", "evaluate", "inspect", "export", "score"),
    *("serve", "client", "token", "train", "merge", "demo"),
)


def test_the_package_runs_as_the_command() -> None:
    told = finished("--version")
    assert told.returncode == 0
    assert told.stdout == f"isthmus {project_version()}\n"


def test_help_lists_every_command(isthmus: Isthmus) -> None:
    told = isthmus("--help")
    assert told.exit_code == 0
    assert all(f" {command} " in told.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(isthmus: Isthmus, command: str) -> None:
    told = isthmus(command, "--help")
    assert told.exit_code == 0
    assert f"isthmus {command}" in told.stdout


def test_the_command_line_starts_without_heavy_packages() -> None:
    names = ("torch", "sklearn", "matplotlib", "onnx", "grpc", "service.settings", "pydantic", "art")
    program = f"import detector.cli.main, sys; print([name for name in {names} if name in sys.modules])"
    assert run_python(program).stdout.strip() == "[]"
