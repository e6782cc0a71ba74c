"""Ranks and correlations are SciPy's, and what has no ranks is left out by name."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from detector.research.difficulty.run_correlations import run_correlations
from detector.research.difficulty.scaling import (
    Scale,
    constant,
    correlation,
    informative,
    percentiles,
    ranks,
    standardised,
)
from detector.research.difficulty.table import ScoreTable
from tests.support.difficulty import CNN, NAMES, NARROW, table

RNG = np.random.default_rng(0)


def test_c6_1_ties_share_the_mean_of_their_ranks_which_start_at_0() -> None:
    np.testing.assert_array_equal(ranks(np.array([[3.0, 1, 3, 2], [5, 5, 5, 5]])), [[2.5, 0, 2.5, 1], [1.5] * 4])
    np.testing.assert_array_equal(percentiles(np.array([10.0, 30, 20])), [0, 1, 0.5])


@pytest.mark.parametrize(("scale", "slow"), [(Scale.RANKS, spearmanr), (Scale.VALUES, pearsonr)])
def test_correlations_are_scipys_with_ties_too(scale: Scale, slow: object) -> None:
    a, b = RNG.integers(0, 9, (2, 3, 50)).astype(float)
    slowly = [slow(x, y).statistic for x, y in zip(a, b, strict=True)]  # type: ignore[operator] # one of two functions
    np.testing.assert_allclose(correlation(a, b, scale), slowly)


def test_rows_are_standardised() -> None:
    rows = standardised(RNG.normal(size=(2, 3, 40)), Scale.VALUES)
    np.testing.assert_allclose(rows.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose((rows**2).sum(-1), 1)


def test_all_correlations_of_all_runs_are_those_of_each_two() -> None:
    values = table(runs=3, examples=30).of(CNN)
    found = run_correlations(values)
    for a, b, i, j in ((0, 0, 1, 1), (0, 5, 0, 2), (4, 1, 2, 0)):
        assert found[a, b, i, j] == pytest.approx(spearmanr(values[i, a], values[j, b]).statistic)


def test_a_score_that_is_constant_in_one_run_is_left_out_and_named() -> None:
    values = table().values.copy()
    values[0, 2, 3] = 1.0
    given = ScoreTable(table().architectures, NAMES, values)
    found = informative(given, NARROW)
    assert found.left_out == ("last-conf",)
    assert found.missing == (f"{NARROW}: the same for all examples in some run, so left out: last-conf",)
    assert found.values.shape == (8, 5, 400)
    np.testing.assert_array_equal(found.of("countforget"), given.of(NARROW, "countforget"))
    assert informative(given, CNN).missing == ()


def test_what_is_constant_is_seen_whatever_its_value() -> None:
    np.testing.assert_array_equal(constant(np.array([[0.1, 0.1, 0.1], [0.1, 0.1, 0.2]])), [True, False])
