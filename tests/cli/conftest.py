from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from detector.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Isthmus = Callable[..., Result]


@pytest.fixture
def isthmus(monkeypatch: pytest.MonkeyPatch) -> Isthmus:
    """Runs the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()

    def run(*arguments: object) -> Result:
        return runner.invoke(app, [str(argument) for argument in arguments])

    return run
