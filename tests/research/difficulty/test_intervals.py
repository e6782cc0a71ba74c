"""An interval over pairs counts runs, not pairs."""

from __future__ import annotations

import numpy as np
import pytest

from detector.metrics import Estimate, mean_estimate
from detector.research.difficulty.intervals import clipped, over_pairs


def _symmetric(values: np.ndarray) -> np.ndarray:
    return values + values.T


def test_it_is_the_jackknife_that_leaves_one_run_out_at_a_time() -> None:
    values = _symmetric(np.random.default_rng(0).uniform(0, 0.4, (6, 6)))

    def mean(rows: list[int]) -> float:
        return float(np.mean([values[a, b] for a in rows for b in rows if a != b]))

    everything = list(range(6))
    pseudo = [6 * mean(everything) - 5 * mean([row for row in everything if row != out]) for out in everything]
    slow, fast = mean_estimate(np.array(pseudo)), over_pairs(values)
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high))
    assert fast.value == pytest.approx(mean(everything))


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    loadings = rng.uniform(0.5, 1.0, (300, 6))  # of runs that were drawn from many, which differ in how noisy they are
    held = 0
    for runs in loadings:
        found = over_pairs(np.outer(runs, runs))
        held += found.low <= 0.75**2 <= found.high
    assert 270 <= held <= 297


def test_it_stays_within_what_is_possible() -> None:
    values = np.full((3, 3), 0.99)
    values[0, 1] = values[1, 0] = 0.5
    assert over_pairs(values).high <= 1
    assert clipped(Estimate(0.5, -1, 2), 0, 1) == Estimate(0.5, 0, 1)
