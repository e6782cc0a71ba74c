from __future__ import annotations

import numpy as np
import pytest

from detector.conformal import ConformalCalibration
from detector.errors import CalibrationError


@pytest.mark.parametrize(("scores", "classes"), [((0,), (0,)), ((3,), (2,)), ((2, 2), (2, 2)), ((), ())])
def test_scores_and_classes_must_go_together(scores: tuple[int, ...], classes: tuple[int, ...]) -> None:
    with pytest.raises(CalibrationError, match="one class per score"):
        ConformalCalibration(np.zeros(scores, np.float32), np.zeros(classes, np.int64))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_must_be_finite(value: float) -> None:
    with pytest.raises(CalibrationError, match="must be finite"):
        ConformalCalibration(np.array([1, value], np.float32), np.zeros(2, np.int64))


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_the_prior_must_be_a_number_of_images(strength: float) -> None:
    with pytest.raises(CalibrationError, match="prior_strength"):
        ConformalCalibration(np.zeros(2, np.float32), np.zeros(2, np.int64), strength)
