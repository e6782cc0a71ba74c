"""What the tests of studies share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.research.studies import Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.stages import StageStore
from tests.support.calibrating import Recorder, digits_inputs

if TYPE_CHECKING:
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="session")
def workplace(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A place to study the classifier of digits."""
    folder = tmp_path_factory.mktemp("studies")
    inputs = digits_inputs(digits, taps=False)
    runner = LocalRunner(Models(inputs.loaded.classifier, inputs.gradients))
    return Workplace(inputs, StageStore(folder / "stages", {}), runner, Recorder(), folder)
