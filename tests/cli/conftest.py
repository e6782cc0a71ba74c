from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.embedded import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from detector.embedded import EmbeddedDefault

    Isthmus = Callable[..., Result]


@pytest.fixture
def isthmus(monkeypatch: pytest.MonkeyPatch) -> Isthmus:
    """Runs the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()

    def run(*arguments: object) -> Result:
        return runner.invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def sample(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits that neither the classifier nor its bundle has seen, labelled."""
    assert digits.test.labels is not None
    file = tmp_path_factory.mktemp("sample") / "sample.npz"
    np.savez(file, images=digits.test.pixels, labels=digits.test.labels, class_names=np.array(LABELS))
    return file


@pytest.fixture
def tapped(isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path) -> Path:
    """A bundle whose scorer reads hidden layers by the numbers of their channels."""
    out = tmp_path / "tapped"
    little = ("--scorer", "one-class", "--prototypes", "1", "--runner-ups", "0", "--points", "2", "--no-views")
    files = ("--classifier", digits.classifier_file, "--gradients", digits.gradients_file)
    done = isthmus("calibrate", *files, "--images", digits.images_file, "--out", out, *little, "--threads", "1")
    assert done.exit_code == 0, done.output
    return out
