from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.errors import CalibrationError
from detector.scoring.tap_statistics import MAX_LAYERS, MAX_NUMBERS, TapStatistics, tap_statistics

GOOD: dict[str, Any] = {
    "sizes": (2, 1),
    "mean": np.zeros(3, np.float32),
    "inverse_scale": np.ones(3, np.float32),
    "centres": np.zeros((4, 3), np.float32),
}
_POISON = np.array([0, np.nan, 1], np.float32)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sizes", (), "array 'sizes' must hold 1 to 64"),
        ("sizes", (1,) * (MAX_LAYERS + 1), "array 'sizes' must hold 1 to 64"),
        ("sizes", (3, 0), "array 'sizes' must hold .* from 1"),
        ("sizes", (4, -1), "array 'sizes' must hold .* from 1"),
        ("sizes", (2, MAX_NUMBERS), "array 'sizes' must come to at most 65536"),
        ("sizes", (2, 2), r"array 'mean' must be finite float32 of shape \(4,\)"),
        ("mean", np.zeros(3), "array 'mean' must be finite float32 .*, not float64"),
        ("mean", _POISON, "array 'mean' must be finite"),
        ("inverse_scale", _POISON, "array 'inverse_scale' must be finite"),
        ("inverse_scale", -np.ones(3, np.float32), "array 'inverse_scale' must not be negative"),
        ("centres", np.zeros((4, 2), np.float32), r"array 'centres' must be finite float32 of shape \(4, 3\)"),
        ("centres", np.full((4, 3), np.inf, np.float32), "array 'centres' must be finite"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(field: str, value: Any, message: str) -> None:
    TapStatistics(**GOOD)
    with pytest.raises(CalibrationError, match=message):
        TapStatistics(**GOOD | {field: value})


@pytest.mark.parametrize("shape", [(0, 3), (5, 4)])
def test_no_image_and_taps_of_another_classifier_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(CalibrationError, match=r"taps must give 3 numbers \(2, 1 by layer\)"):
        tap_statistics(np.zeros(shape, np.float32), np.zeros(shape[0], np.int64), classes=2, sizes=(2, 1))
