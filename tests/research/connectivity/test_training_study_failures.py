from __future__ import annotations

from typing import Any

import pytest

from detector.errors import AnalysisError
from detector.research.connectivity.modes import ModeOptions
from detector.research.connectivity.training_study import TrainingStudyOptions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"networks": 0}, "networks"),
        ({"test_share": 1.0}, "test_share"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"at": (0,)}, "steps must rise from 0"),
        ({"at": (3, 30)}, "steps must rise from 0"),
        ({"at": (0, 30, 3)}, "steps must rise from 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        TrainingStudyOptions(**given)


@pytest.mark.parametrize("given", [{"pairs": 0}, {"steps": 0}, {"learning_rate": 0}, {"target_loss": float("nan")}])
def test_modes_that_can_not_be_made_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(AnalysisError, match="modes"):
        ModeOptions(**given)
