"""Averaging runs gives what Spearman and Brown say, where their noise is independent."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from detector.research.difficulty.reliability import reliabilities, runs_needed, spearman_brown
from detector.research.difficulty.scaling import Scale
from tests.support.difficulty import CNN, NARROW, NOISE, table


@pytest.mark.parametrize(("single", "runs"), [(0.5, 19), (0.7, 9), (0.8, 5), (0.87, 3), (0.95, 1), (1.0, 1)])
def test_the_number_of_runs_is_the_least_that_is_enough(single: float, runs: int) -> None:
    assert runs_needed(single, 0.95) == runs
    assert spearman_brown(single, runs) >= 0.95 - 1e-9
    if runs > 1:
        assert spearman_brown(single, runs - 1) < 0.95


def test_no_number_of_runs_is_enough_where_they_have_nothing_in_common() -> None:
    assert runs_needed(0.0, 0.8) is None
    assert runs_needed(-0.1, 0.8) is None


def test_one_run_is_as_reliable_as_it_is() -> None:
    assert spearman_brown(0.3, 1) == pytest.approx(0.3)


def test_of_truth_and_noise_everything_is_as_computed() -> None:
    values = table(runs=12, examples=20_000).of(NARROW)[:, :4]  # the others are rounded
    for noise, one in zip(NOISE, reliabilities(values, draws=10, seed=0, scale=Scale.VALUES), strict=False):
        single = 1 / (1 + noise**2)
        assert one.single.value == pytest.approx(single, abs=0.01)
        assert one.most == 6
        np.testing.assert_allclose(one.averaged, [spearman_brown(single, runs) for runs in range(1, 7)], atol=0.01)
        np.testing.assert_allclose(one.prophecy, one.averaged, atol=0.005)
        assert one.needed(0.95) == runs_needed(single, 0.95)
        assert one.gain == pytest.approx(one.best - one.single.value)
        assert one.gain > 0


def test_single_runs_are_all_pairs_and_averages_all_disjoint_groups_where_they_are_few() -> None:
    values = table(runs=4, examples=50).of(CNN)
    for place, one in enumerate(reliabilities(values, draws=3, seed=0)):
        pairs = [spearmanr(values[a, place], values[b, place]).statistic for a, b in combinations(range(4), 2)]
        assert one.single.value == pytest.approx(np.mean(pairs)) == one.averaged[0]
        assert (one.low[0], one.high[0]) == pytest.approx(tuple(np.quantile(pairs, (0.05, 0.95))))
        means = [values[[0, a]].mean(0)[place] for a in (1, 2, 3)]
        others = [values[[a, b]].mean(0)[place] for a, b in ((2, 3), (1, 3), (1, 2))]
        halves = [spearmanr(a, b).statistic for a, b in zip(means, others, strict=True)]
        assert one.best == pytest.approx(np.mean(halves))


def test_runs_that_say_the_same_need_no_others() -> None:
    values = np.repeat(table(runs=1, examples=50).of(CNN), 4, axis=0)
    for one in reliabilities(values, draws=3, seed=0):
        assert one.single.value == pytest.approx(1)
        assert one.needed(0.95) == 1
        np.testing.assert_allclose(one.averaged, 1)
