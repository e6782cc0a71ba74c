from __future__ import annotations

import pytest

from detector.metrics import Estimate, realised_rate
from detector.reporting import numbers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.auroc(0.96449), "0.964"),
        (numbers.auroc(None), "\N{EN DASH}"),
        (numbers.estimate(Estimate(0.9, 0.85, 1.0)), "0.900 (0.850\N{EN DASH}1.000)"),
        (numbers.gain(0.0312), "+0.031"),
        (numbers.gain(-0.0312), "\N{MINUS SIGN}0.031"),
        (numbers.gain(-0.0001), "0.000"),
        (numbers.percent(0.9312), "93.1%"),
        (numbers.target(0.05), "5%"),
        (numbers.target(0.005), "0.5%"),
        (numbers.realised(realised_rate(0, 1)), "0.0% (0.0\N{EN DASH}97.5%)"),
        (numbers.realised(None), "\N{EN DASH}"),
        (numbers.forwards(33.0), "33"),
        (numbers.forwards(17.44), "17.4"),
        (numbers.milliseconds(0.03123), "0.0312"),
        (numbers.milliseconds(1240.4), "1,240"),
        (numbers.levels(8 / 255), "8/255"),
        (numbers.levels(0.5 / 255), "0.5/255"),
    ],
)
def test_numbers_are_written(written: str, expected: str) -> None:
    assert written == expected
