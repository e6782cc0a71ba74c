"""A search of seconds, on digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.tuning.options import TuningOptions
from tests.support.calibrating import Recorder, digits_inputs, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.pipeline import CalibrationResult
    from detector.embedded import EmbeddedDefault

SMALL = TuningOptions(
    points=(1, 2),
    prototypes=(1,),
    runner_ups=(0, 1),
    smoothness=(0.0, 8.0),
    prior_strengths=(50.0, 10_000.0),
    benign_images=120,
    attacked_images=20,
    undecided_images=16,
)


def tuned_options(scorer: ScorerChoice = ScorerChoice.ONE_CLASS, tuning: TuningOptions = SMALL) -> CalibrationOptions:
    """Options of a quick calibration that is tuned."""
    return replace(quick_options(scorer), tuning=tuning)


@dataclass(frozen=True)
class Tuned:
    """A calibration that was tuned."""

    result: CalibrationResult
    told: Recorder


def run(inputs: CalibrationInputs, options: CalibrationOptions, out: Path) -> Tuned:
    """Calibrate."""
    told = Recorder()
    return Tuned(calibrate(inputs, options, out, progress=told), told)


@pytest.fixture(scope="session")
def untapped(digits: EmbeddedDefault) -> CalibrationInputs:
    """Fewer features, so that a fit is quick."""
    return digits_inputs(digits, taps=False)


@pytest.fixture(scope="session")
def tuned(untapped: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """The one-class guard, tuned."""
    return run(untapped, tuned_options(), tmp_path_factory.mktemp("tuned") / "bundle")
