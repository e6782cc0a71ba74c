"""Maps of correlations are means over runs and pairs of them, and averaging takes the noise away."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from detector.research.difficulty.covariance import between_architectures, covariance
from detector.research.difficulty.scaling import Scale
from tests.support.difficulty import CNN, NARROW, NOISE, table

VALUES = table(runs=4, examples=60).of(CNN)


def _mean(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(np.mean([spearmanr(a, b).statistic for a, b in pairs]))


def test_maps_of_single_runs_are_those_of_each_run_and_of_each_pair() -> None:
    found = covariance(VALUES, draws=3, seed=0).single
    for a, b in ((0, 4), (2, 5)):
        apart = [(VALUES[i, a], VALUES[j, b]) for i, j in permutations(range(4), 2)]
        assert found.same[a, b] == pytest.approx(_mean([(run[a], run[b]) for run in VALUES]))
        assert found.apart[a, b] == pytest.approx(_mean(apart))
    own = [(VALUES[i, 1], VALUES[j, 1]) for i, j in permutations(range(4), 2)]
    assert found.same[1, 1] == found.apart[1, 1] == pytest.approx(_mean(own))


def test_maps_of_averages_are_those_of_disjoint_halves() -> None:
    found = covariance(VALUES, draws=3, seed=0).averaged
    halves = [(VALUES[[0, a]].mean(0), VALUES[[b, c]].mean(0)) for a, b, c in ((1, 2, 3), (2, 1, 3), (3, 1, 2))]
    both = [pair for one, other in halves for pair in ((one, other), (other, one))]
    assert found.same[0, 0] == pytest.approx(_mean([(one[0], other[0]) for one, other in halves]))
    assert found.apart[0, 4] == pytest.approx(_mean([(one[0], other[4]) for one, other in both]))
    assert found.same[0, 4] == pytest.approx(_mean([(one[0], one[4]) for one, _ in both]))


@pytest.mark.parametrize("scale", Scale)
def test_maps_are_symmetric_and_of_one_diagonal(scale: Scale) -> None:
    found = covariance(VALUES, draws=2, seed=0, scale=scale)
    assert found.half == 2
    for maps in (found.single, found.averaged, found.change):
        np.testing.assert_allclose(maps.same, maps.same.T, atol=1e-12)
        np.testing.assert_allclose(maps.apart, maps.apart.T, atol=1e-12)
        np.testing.assert_array_equal(np.diag(maps.same), np.diag(maps.apart))


def test_of_truth_and_noise_pearsons_are_as_computed() -> None:
    values = table(runs=8, examples=20_000).of(NARROW)[:, :4]  # the others are rounded
    found = covariance(values, draws=5, seed=0, scale=Scale.VALUES)
    deviation = np.sqrt(1 + np.square(NOISE[:4]))
    np.testing.assert_allclose(found.single.apart, 1 / np.outer(deviation, deviation), atol=0.02)
    averaged = np.sqrt(1 + np.square(NOISE[:4]) / 4)
    np.testing.assert_allclose(found.averaged.apart, 1 / np.outer(averaged, averaged), atol=0.02)
    assert (found.change.apart > 0).all()


def test_architectures_are_compared_by_the_means_of_their_runs() -> None:
    given = table()
    means = given.values[:, :, 0].mean(1)
    found = between_architectures(means)
    assert found[0, 2] == pytest.approx(spearmanr(means[0], means[2]).statistic)
    assert found[0, 2] < found[0, 1] - 0.1  # widths of one family agree
