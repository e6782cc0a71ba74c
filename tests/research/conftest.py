"""One analysis of the digits that the tests of studies read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.analysing import analysed_connectivity
from tests.support.calibrating import Recorder, digits_inputs
from tests.support.connecting import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault
    from detector.research.analysis import Analysis


@pytest.fixture(scope="session")
def inputs(digits: EmbeddedDefault) -> CalibrationInputs:
    return digits_inputs(digits, taps=False)


@pytest.fixture(scope="session")
def analysed(inputs: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Analysis]:
    """The folder of an analysis of the digits, and what it found: pairs and bypasses."""
    out = tmp_path_factory.mktemp("connectivity")
    return out, analysed_connectivity(inputs, OPTIONS, out, Recorder(), studies=["pairs", "bypass"])
