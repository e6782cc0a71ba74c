"""The band of single runs is the quantiles of what is in a bin."""

from __future__ import annotations

import numpy as np
import pytest

from detector.research.difficulty.scaling import percentiles
from detector.research.difficulty.variance import spread

RNG = np.random.default_rng(0)


def test_bins_hold_examples_from_the_easiest_to_the_hardest() -> None:
    values = np.array([[3.0, 1, 2, 9], [5, 1, 2, 7]])
    found = spread(values, 2)
    np.testing.assert_allclose(found.mean, [1.5, 6])
    np.testing.assert_allclose(found.low, [np.quantile([1, 1, 2, 2], 0.05), np.quantile([3, 5, 7, 9], 0.05)])
    np.testing.assert_allclose(found.high, [np.quantile([1, 1, 2, 2], 0.95), np.quantile([3, 5, 7, 9], 0.95)])
    assert found.width == pytest.approx((found.high - found.low).mean())


def test_all_scores_at_once_are_each_by_itself() -> None:
    values = RNG.normal(size=(4, 3, 70))
    found = spread(values, 9)
    for score in range(3):
        alone = spread(values[:, score], 9)
        np.testing.assert_allclose(found.mean[score], alone.mean)
        np.testing.assert_allclose(found.low[score], alone.low)
        np.testing.assert_allclose(found.high[score], alone.high)


def test_runs_that_agree_have_no_band_and_runs_of_noise_have_all_of_it() -> None:
    same = percentiles(np.tile(RNG.normal(size=1000), (8, 1)))
    noise = percentiles(RNG.normal(size=(200, 1000)))
    assert spread(same, 100).width < 0.01
    assert spread(noise, 10).width == pytest.approx(0.9, abs=0.05)


def test_there_are_no_more_bins_than_examples() -> None:
    assert spread(RNG.normal(size=(3, 5)), 100).mean.shape == (5,)
