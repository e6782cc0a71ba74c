from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.conformal import ConformalCalibration
from detector.errors import CalibrationError
from detector.strata import Strata

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


TWO = Strata((0.0,))


def _stratified(difficulty: NDArray[np.float32] | None) -> ConformalCalibration:
    return ConformalCalibration(np.zeros(3, np.float32), np.zeros(3, np.int64), 0, TWO, difficulty)


def test_strata_need_a_finite_difficulty_of_every_image() -> None:
    with pytest.raises(CalibrationError, match="2 strata need the difficulty of every calibration image"):
        _stratified(None)
    for wrong in (np.zeros(2, np.float32), np.zeros((3, 1), np.float32), np.array([0, 1, np.nan], np.float32)):
        with pytest.raises(CalibrationError, match="one finite difficulty per score"):
            _stratified(wrong)


def test_a_stratum_without_images_has_no_thresholds() -> None:
    with pytest.raises(CalibrationError, match="no calibration image is in stratum 2 of 2, counted from the easiest"):
        _stratified(np.full(3, -1, np.float32))


def test_images_judged_by_strata_must_come_with_their_difficulty() -> None:
    calibration = _stratified(np.array([-1, 1, 2], np.float32))
    with pytest.raises(CalibrationError, match="need the images' difficulty"):
        calibration.p_values(np.zeros(1, np.float32), np.zeros(1, np.int64))
