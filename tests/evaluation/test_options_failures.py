from __future__ import annotations

from typing import Any

import pytest

from detector.errors import CalibrationError
from detector.evaluation.options import EvaluationOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test_fraction", 0.0),
        ("test_fraction", 1.0),
        ("test_fraction", float("nan")),
        ("attack_images", 19),
        ("most_images", 19),
        ("stand_in_images", 19),
        ("adaptive_images", -1),
        ("adaptive_steps", 0),
        ("adaptive_queries", 0),
        ("hardening_images", -1),
        ("adaptive_budgets", (8.0, 2.0)),
        ("adaptive_budgets", (8.0, 8.0)),
        ("adaptive_budgets", (0.0, 8.0)),
        ("adaptive_budgets", (-8.0,)),
        ("adaptive_budgets", ()),
        ("peer_images", (800, 800, 19)),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(CalibrationError, match=name):
        EvaluationOptions(**{name: value})
