from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from detector.conformal import PRIOR_STRENGTH, ConformalCalibration, smallest_p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _calibration(scores: list[float], classes: list[int], prior: float) -> ConformalCalibration:
    return ConformalCalibration(np.array(scores, np.float32), np.array(classes), prior)


def _p(calibration: ConformalCalibration, score: float, label: int) -> float:
    return float(calibration.p_values(np.array([score], np.float32), np.array([label]))[0])


SMALL = ([1.0, 2.0, 3.0, 4.0, 10.0], [0, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("score", "label", "p_value"),
    [
        (0.5, 0, 5 / 5),
        (1.0, 0, 5 / 5),
        (1.5, 0, 4 / 5),
        (4.0, 0, 2 / 5),
        (4.5, 0, 1 / 5),
        (10.0, 1, 2 / 2),
        (11.0, 1, 1 / 2),
        (4.0, 2, 3 / 6),  # never seen: the pool of five
        (11.0, 2, 1 / 6),
    ],
)
def test_without_a_prior_a_class_speaks_for_itself(score: float, label: int, p_value: float) -> None:
    assert _p(_calibration(*SMALL, prior=0), score, label) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("score", "label", "p_value"),
    [
        (4.5, 0, (4 / 6 + 0 + 2 * (2 / 6)) / (4 + 4 / 6 + 2)),
        (2.0, 0, (4 / 6 + 3 + 2 * (5 / 6)) / (4 + 4 / 6 + 2)),
        (11.0, 1, (1 / 3 + 0 + 2 * (1 / 6)) / (1 + 1 / 3 + 2)),
        (4.5, 2, 2 / 6),
    ],
)
def test_a_prior_mixes_the_pool_in(score: float, label: int, p_value: float) -> None:
    assert _p(_calibration(*SMALL, prior=2), score, label) == pytest.approx(p_value)


def test_a_strong_prior_is_the_pool_and_a_weak_one_the_class() -> None:
    scores = np.array([2.5, 4.5], np.float32)
    zeros = np.zeros(2, np.int64)
    strong = _calibration(*SMALL, prior=1e9).p_values(scores, zeros)
    np.testing.assert_allclose(strong, [4 / 6, 2 / 6], rtol=1e-6)
    weak = _calibration(*SMALL, prior=1e-9).p_values(scores, zeros)
    np.testing.assert_allclose(weak, [3 / 5, 1 / 5], rtol=1e-6)


def test_it_is_the_slow_count() -> None:
    rng = np.random.default_rng(0)
    reference = np.round(rng.exponential(size=200), 1).astype(np.float32)  # with ties
    classes = rng.integers(0, 4, 200)
    scores, predicted = np.round(rng.exponential(size=100), 1).astype(np.float32), rng.integers(0, 5, 100)
    found = ConformalCalibration(reference, classes, 7).p_values(scores, predicted)
    for score, label, p_value in zip(scores, predicted, found, strict=True):
        own = reference[classes == label]
        pooled = (1 + (reference >= score).sum()) / 201
        itself = len(own) / (len(own) + 7)
        slow = (itself + (own >= score).sum() + 7 * pooled) / (len(own) + itself + 7)
        assert p_value == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("prior", [0.0, 5.0, 50.0])
def test_a_higher_score_never_has_a_larger_p_value(prior: float) -> None:
    rng = np.random.default_rng(1)
    calibration = ConformalCalibration(rng.random(300, np.float32), rng.integers(0, 3, 300), prior)
    scores = np.sort(rng.uniform(-0.5, 1.5, 500)).astype(np.float32)
    for label in range(4):
        p_values = calibration.p_values(scores, np.full(500, label))
        assert (np.diff(p_values) <= 0).all()
        assert p_values.min() > 0
        assert p_values.max() <= 1


def test_an_image_of_a_class_with_few_images_can_reach_a_small_rate() -> None:
    rng = np.random.default_rng(2)
    for count in (1, 3, 10, 40, 80):
        classes = np.repeat([0, 1], [900 - count, count])
        calibration = ConformalCalibration(rng.random(900, np.float32), classes)
        assert _p(calibration, 2.0, 1) == pytest.approx(smallest_p_value(count, 900, PRIOR_STRENGTH))
        assert _p(calibration, 2.0, 1) < 0.01


@pytest.mark.parametrize(("count", "prior", "smallest"), [(99, 0.0, 1 / 100), (0, 0.0, 1 / 500), (0, 50.0, 1 / 500)])
def test_the_smallest_p_value_is_known(count: int, prior: float, smallest: float) -> None:
    assert smallest_p_value(count, 499, prior) == pytest.approx(smallest)


CLASSES = 4
PER_CLASS = 99  # so that 1/100, 5/100 and 20/100 are met exactly, not only kept to


def _flagged(rate: float, prior: float, *, alike: bool) -> NDArray[np.bool_]:
    """Whether p <= rate, (calibrations, classes): one benign image of each class per independent calibration.

    Scores are exchangeable within a class; the classes' distributions differ unless they are `alike`.
    """
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(CLASSES), PER_CLASS)
    scale = np.ones(CLASSES) if alike else 1.0 + np.arange(CLASSES)
    flags = []
    for _ in range(3000):
        reference = rng.lognormal(size=len(classes)) * scale[classes]
        calibration = ConformalCalibration(reference.astype(np.float32), classes, prior)
        scores = (rng.lognormal(size=CLASSES) * scale).astype(np.float32)
        flags.append(calibration.p_values(scores, np.arange(CLASSES)) <= rate)
    return np.stack(flags)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_rate_of_false_positives_is_the_promised_one_in_every_class(rate: float, alike: bool) -> None:  # noqa: FBT001 - a case
    flags = _flagged(rate, prior=0, alike=alike)
    for group in (flags.ravel(), *flags.T):
        assert binomtest(int(group.sum()), group.size, rate).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_default_prior_keeps_the_promise_where_classes_are_alike(rate: float) -> None:
    flags = _flagged(rate, prior=PRIOR_STRENGTH, alike=True)
    for group in (flags.ravel(), *flags.T):
        assert binomtest(int(group.sum()), group.size, rate).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_where_classes_differ_the_default_prior_bounds_the_worst_class(rate: float) -> None:
    pooled_only = _flagged(rate, prior=1e9, alike=False).mean(0)
    mixed = _flagged(rate, prior=PRIOR_STRENGTH, alike=False)
    assert mixed.mean(0).max() < pooled_only.max()
    assert mixed.mean(0).max() < 3 * rate
    assert binomtest(int(mixed.sum()), mixed.size, rate).proportion_ci(0.999).low < 1.2 * rate
