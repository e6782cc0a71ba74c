from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.calibration.tuning.decisions import Subject, Tried, TuningDecision, decide
from detector.calibration.tuning.options import TuningOptions
from detector.calibration.tuning.quality import Quality
from detector.errors import CalibrationError

QUALITY = Quality(0.9, np.array([0.01]))


def _decided(*barred: str) -> TuningDecision:
    tried = [Tried(f"{at}", 5 + at, QUALITY, why) for at, why in enumerate(barred)]
    return decide(Subject.ALPHAS, tried, standing="0", measure="AUROC", images="some")


def test_where_nothing_may_be_chosen_the_cheapest_is_named() -> None:
    with pytest.raises(CalibrationError, match=r"alphas: no candidate .* costs 5 forwards per image \(beyond\)"):
        _decided("beyond", "beyond")


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "weather"},
        {"candidates": [{}]},
        {"candidates": 3},
        {"chosen": "none of them"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CalibrationError, match="tuning decision"):
        TuningDecision.from_json({**_decided("").to_json(), **change})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 0}, "budget must be at least 1"),
        ({"points": ()}, "points must name values of at least 1"),
        ({"points": (0, 2)}, "points must name values of at least 1"),
        ({"prototypes": (0,)}, "prototypes must name values of at least 1"),
        ({"runner_ups": (-1,)}, "runner_ups must name values of at least 0"),
        ({"smoothness": (-0.5,)}, "smoothness must name values of at least 0"),
        ({"prior_strengths": ()}, "prior_strengths must not be negative"),
        ({"benign_images": 10}, "benign_images must be at least 40"),
        ({"attacked_images": 0}, "attacked_images at least 1"),
        ({"undecided_images": -1}, "undecided_images must not be negative"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        TuningOptions(**given)
