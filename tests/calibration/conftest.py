"""What the tests of calibration share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.calibrating import digits_inputs

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="session")
def inputs(digits: EmbeddedDefault) -> CalibrationInputs:
    return digits_inputs(digits)
