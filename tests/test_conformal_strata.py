"""p-values within strata of difficulty: what holds in each of them, and did not without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from detector.conformal import PRIOR_STRENGTH, ConformalCalibration, smallest_p_value
from detector.strata import ONE_STRATUM, Proxy, Strata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

STRATA = Strata((-1.0, 0.5))
KINDS = 3
BY_KIND = Strata((0.5, 1.5))
PER_STRATUM = 99  # so that 1/100, 5/100 and 20/100 are met exactly, not only kept to


def _drawn(count: int, *, seed: int = 0) -> tuple[Float32Array, NDArray[np.int64], Float32Array]:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.exponential(size=count), 1).astype(np.float32)  # with ties
    return scores, rng.integers(0, 4, count), rng.normal(size=count).astype(np.float32)


def test_one_stratum_gives_the_answers_of_none_whatever_the_difficulty() -> None:
    reference, classes, difficulty = _drawn(300)
    scores, predicted, theirs = _drawn(100, seed=1)
    without = ConformalCalibration(reference, classes, 7).p_values(scores, predicted)
    one = ConformalCalibration(reference, classes, 7, Strata((), Proxy.ENTROPY), difficulty)
    np.testing.assert_array_equal(one.p_values(scores, predicted, theirs), without)


@pytest.mark.parametrize("prior", [0.0, 7.0, 100.0])
def test_each_stratum_is_a_calibration_of_its_own(prior: float) -> None:
    reference, classes, difficulty = _drawn(300)
    scores, predicted, theirs = _drawn(100, seed=1)
    found = ConformalCalibration(reference, classes, prior, STRATA, difficulty).p_values(scores, predicted, theirs)
    for number in range(STRATA.count):
        own, rows = STRATA.numbers(difficulty) == number, STRATA.numbers(theirs) == number
        assert rows.any()
        alone = ConformalCalibration(reference[own], classes[own], prior)
        np.testing.assert_array_equal(found[rows], alone.p_values(scores[rows], predicted[rows]))


def test_what_is_at_an_edge_is_judged_with_the_harder() -> None:
    calibration = ConformalCalibration(
        np.array([1, 2, 8, 9], np.float32),
        np.zeros(4, np.int64),
        0,
        Strata((0.0,)),
        np.array([-1, -1, 0, 1], np.float32),
    )
    found = calibration.p_values(np.full(2, 5, np.float32), np.zeros(2, np.int64), np.array([-0.1, 0], np.float32))
    np.testing.assert_allclose(found, [1 / 3, 3 / 3])


def test_the_smallest_p_values_are_those_of_an_endless_score() -> None:
    reference, classes, difficulty = _drawn(300)
    calibration = ConformalCalibration(reference, classes, 20, STRATA, difficulty)
    smallest, counts = calibration.smallest_p_values(5), calibration.counts(5)
    assert counts.sum() == 300
    assert (counts[:, 4] == 0).all()
    for number, (edge, row) in enumerate(zip([-9.0, *STRATA.edges], counts, strict=True)):
        hard = np.full(5, edge, np.float32)
        found = calibration.p_values(np.full(5, 99, np.float32), np.arange(5), hard)
        np.testing.assert_allclose(smallest[number], found, rtol=1e-12)
        assert smallest[number, 0] == pytest.approx(smallest_p_value(int(row[0]), int(row.sum()), 20))


def _flagged(rate: float, strata: Strata, *, prior: float) -> NDArray[np.bool_]:
    """Whether p <= rate, (calibrations, kinds of images): one benign image of each difficulty per calibration.

    The harder an image, the wider its scores spread; images are exchangeable.
    """
    rng = np.random.default_rng(4)
    kinds = np.repeat(np.arange(KINDS), PER_STRATUM)
    one_class = np.zeros(len(kinds), np.int64)
    flags = []
    for _ in range(2000):
        reference = (rng.lognormal(size=len(kinds)) * 3.0**kinds).astype(np.float32)
        calibration = ConformalCalibration(reference, one_class, prior, strata, kinds.astype(np.float32))
        scores = (rng.lognormal(size=KINDS) * 3.0 ** np.arange(KINDS)).astype(np.float32)
        p_values = calibration.p_values(scores, one_class[:KINDS], np.arange(KINDS, dtype=np.float32))
        flags.append(p_values <= rate)
    return np.stack(flags)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_one_threshold_keeps_the_promise_on_average_and_breaks_it_among_hard_images(rate: float) -> None:
    flags = _flagged(rate, ONE_STRATUM, prior=0)
    assert binomtest(int(flags.sum()), flags.size, rate).pvalue > 1e-3
    assert flags[:, -1].mean() > 1.5 * rate
    assert flags[:, 0].mean() < rate / 2


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_thresholds_in_each_stratum_keep_it_in_each(rate: float) -> None:
    # A prior changes nothing where the one class is the pool.
    for prior in (0.0, PRIOR_STRENGTH):
        for group in _flagged(rate, BY_KIND, prior=prior).T:
            assert binomtest(int(group.sum()), group.size, rate).pvalue > 1e-3
