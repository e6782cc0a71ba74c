from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from detector.transfer.rates import decidable_from, flagged_rate, worst_class

LABELS = ("a", "b", "c")


@pytest.mark.parametrize(("target", "factor"), [(0.05, 2.0), (0.01, 2.0), (0.1, 1.5), (0.05, 4.0)])
def test_the_smallest_sample_that_decides_is_the_first_whose_interval_leaves_out_the_multiple(
    target: float, factor: float
) -> None:
    found = decidable_from(target, factor)
    flagged = round(target * found)

    def upper(k: int, n: int) -> float:
        return float(beta.ppf(0.975, k + 1, n - k))  # Clopper and Pearson's own formula

    assert upper(flagged, found) <= factor * target
    before = flagged - 1
    assert upper(before, round(before / target)) > factor * target


def test_a_rarer_target_and_a_finer_factor_take_more_images() -> None:
    assert decidable_from(0.05, 2.0) == 160
    assert decidable_from(0.01, 2.0) == 800
    assert decidable_from(0.05, 1.5) > decidable_from(0.05, 2.0) > decidable_from(0.05, 4.0)
    assert decidable_from(0.6, 2.0) == 2


def test_p_values_at_the_target_are_flagged() -> None:
    found = flagged_rate(np.array([0.05, 0.051, 0.2, 0.001]), 0.05)
    assert (found.flagged, found.total) == (2, 4)


def test_the_worst_class_is_the_one_whose_rate_is_surest_to_be_high() -> None:
    predicted = np.repeat([0, 1, 2], [100, 20, 5])
    p_values = np.ones(125)
    p_values[:30] = 0.01  # 30 of 100
    p_values[100:107] = 0.01  # 7 of 20, a higher rate, but less sure
    p_values[120:] = 0.01  # all of five, which are too few
    found = worst_class(p_values, predicted, 0.05, LABELS)
    assert found is not None
    assert (found.label, found.rate.flagged, found.rate.total) == ("a", 30, 100)
    alone = worst_class(p_values[:100], predicted[:100], 0.05, LABELS)
    assert alone is not None
    assert found.rate.low < alone.rate.low, "the interval allows for the other class that was looked at"


def test_no_class_is_told_of_that_has_too_few_images() -> None:
    assert worst_class(np.ones(9), np.zeros(9, np.int64), 0.05, LABELS) is None
