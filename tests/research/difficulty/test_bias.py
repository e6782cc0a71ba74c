"""Tests of two architectures are SciPy's, hold their promises where nothing differs, and find what does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest, kstest, permutation_test, ttest_ind

from detector.research.difficulty.bias import difference, significance, welch
from detector.research.difficulty.scaling import percentiles
from tests.support.difficulty import CNN, NARROW, WIDE, table

RNG = np.random.default_rng(0)


def _norm(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.abs(first.mean(axis) - second.mean(axis))


def test_p_values_of_all_permutations_are_scipys() -> None:
    first, second = RNG.normal(size=(2, 4, 1, 20))
    second[:, :, :5] += 2
    found = difference(first, second, permutations=1000, seed=0)
    slow = permutation_test((first[:, 0], second[:, 0]), _norm, vectorized=True, alternative="greater", axis=0)
    assert found.ways == 70
    np.testing.assert_allclose(found.permuted[0], slow.pvalue)
    np.testing.assert_allclose(found.joint, slow.pvalue)  # of one score its norm is its absolute difference
    np.testing.assert_allclose(found.differences[0], first[:, 0].mean(0) - second[:, 0].mean(0))


def test_of_all_scores_the_norm_is_permuted() -> None:
    first, second = RNG.normal(size=(2, 3, 2, 6))

    def norm(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a.mean(0) - b.mean(0), axis=0)

    found = difference(first, second, permutations=19, seed=0)
    pooled = np.concatenate([first, second])
    drawn = []
    for rows in combinations(range(6), 3):
        rest = [row for row in range(6) if row not in rows]
        drawn.append(norm(pooled[list(rows)], pooled[rest]))
    np.testing.assert_allclose(found.joint, (np.array(drawn) >= norm(first, second) - 1e-9).mean(0))


def test_drawn_permutations_come_near_all_of_them_and_are_never_0() -> None:
    first, second = RNG.normal(size=(2, 6, 1, 30))
    whole = difference(first, second, permutations=923, seed=0)
    drawn = difference(first, second, permutations=500, seed=0)
    assert (whole.ways, drawn.ways) == (924, 501)
    np.testing.assert_allclose(drawn.permuted, whole.permuted, atol=0.1)
    assert drawn.permuted.min() >= 1 / 501


def test_p_values_are_uniform_where_nothing_differs() -> None:
    first, second = RNG.normal(size=(2, 6, 2, 3000))
    found = difference(first, second, permutations=923, seed=0)
    for p_values in (found.joint, found.permuted[0], found.welch[1]):
        assert kstest(p_values, "uniform").pvalue > 0.001
        assert binomtest(int((p_values <= 0.05).sum()), 3000, 0.05).pvalue > 0.001


def test_chunks_of_examples_are_tested_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = RNG.normal(size=(2, 4, 3, 50))
    whole = difference(first, second, permutations=60, seed=3)
    monkeypatch.setattr("detector.research.difficulty.bias._MOST_AT_ONCE", 500)
    parts = difference(first, second, permutations=60, seed=3)
    np.testing.assert_allclose(parts.permuted, whole.permuted)
    np.testing.assert_allclose(parts.joint, whole.joint)


def test_welch_is_scipys_and_knows_runs_that_agree() -> None:
    first, second = RNG.normal(size=(2, 5, 10))
    slow = ttest_ind(first, second, axis=0, equal_var=False)
    np.testing.assert_allclose(welch(first, second)[0], slow.statistic)
    np.testing.assert_allclose(welch(first, second)[1], slow.pvalue)
    t, p = welch(np.zeros((3, 3)), np.tile([0.0, 1.0, -1.0], (3, 1)))
    np.testing.assert_array_equal(t, [0, -np.inf, np.inf])
    np.testing.assert_array_equal(p, [1, 0, 0])


def test_discoveries_are_false_no_oftener_than_promised() -> None:
    level, shares, nothing = 0.1, [], 0
    for _ in range(200):
        p_values = RNG.uniform(size=200)
        nothing += significance(p_values, level).discovered > 0
        p_values[:40] = RNG.uniform(0, 1e-3, 40)
        found = significance(p_values, level)
        discovered = p_values <= (found.line or 0)
        assert found.discovered == discovered.mean()
        shares.append(discovered[40:].sum() / max(1, discovered.sum()))
    assert np.mean(shares) <= level
    assert np.mean(shares) == pytest.approx(level * 160 / 200, abs=0.02)  # Benjamini and Hochberg's is exact
    assert binomtest(nothing, 200, level).pvalue > 0.001


def test_shares_are_nested_and_the_line_is_the_largest_discovery() -> None:
    found = significance(np.array([0.001, 0.02, 0.021, 0.04, 0.9]), 0.05)
    assert (found.plain, found.discovered, found.certain, found.line) == (0.8, 0.8, 0.2, 0.04)
    nothing = significance(np.array([0.04, 0.9, 0.8, 0.7]), 0.05)
    assert (nothing.plain, nothing.discovered, nothing.certain, nothing.line) == (0.25, 0, 0, None)


def test_the_examples_that_differ_are_found() -> None:
    given = {name: percentiles(table(sensitive=40, examples=800).of(name)) for name in (NARROW, WIDE, CNN)}
    apart = difference(given[NARROW], given[CNN], permutations=500, seed=0)
    near = difference(given[NARROW], given[WIDE], permutations=500, seed=0)
    assert (apart.joint[:40] < 0.05).mean() > 0.9
    assert (apart.joint[40:] < 0.05).mean() < 0.25  # their ranks give way to those that became hard
    assert significance(near.welch[0], 0.05).discovered == 0
    assert significance(near.joint, 0.05).plain < 0.1
