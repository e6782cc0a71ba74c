from __future__ import annotations

import numpy as np
import pytest

from detector.bundle import Canaries
from detector.bundle.canaries import LOOSE
from detector.errors import ClassifierMismatchError, SettingsError

IMAGES = np.zeros((3, 1, 2, 2), np.float32)
LOGITS = np.array([[1, 2, 6], [0, 0, 3], [4, -4, 0]], np.float32)
CANARIES = Canaries(IMAGES, LOGITS, np.array([0.5, 0.25, 1], np.float32))


def moved(canary: int, by: float) -> np.ndarray:
    """The stored answers, but for one's first two logits: one is more by so much, and one less."""
    given = LOGITS.copy()
    given[canary, :2] += (by, -by)
    return given


def test_each_canary_has_its_own_allowance() -> None:
    np.testing.assert_array_equal(CANARIES.deviations(LOGITS), 0)
    for canary, allowed in enumerate((0.5, 0.25, 1)):
        wanted = np.zeros(3)
        wanted[canary] = 0.5 / allowed
        np.testing.assert_allclose(CANARIES.deviations(moved(canary, 0.5)), wanted, rtol=1e-6)
        assert CANARIES[canary : canary + 1].deviations(moved(canary, 0.5)[canary : canary + 1]) == 0.5 / allowed


def test_what_is_added_to_all_logits_of_an_image_means_nothing() -> None:
    shifted = LOGITS + np.array([[10], [-7], [0.5]], np.float32)
    np.testing.assert_allclose(CANARIES.deviations(shifted), 0, atol=1e-6)


def test_the_worst_is_told_by_how_much() -> None:
    np.testing.assert_allclose(CANARIES.check(moved(2, 1)), [0, 0, 1])
    assert CANARIES.difference(moved(1, 0.5)) == (0.5, 0.25)
    message = r"difference 0\.5, allowed 0\.25, 1 of 3 canaries.*calibrate again"
    with pytest.raises(ClassifierMismatchError, match=message) as told:
        CANARIES.check(moved(1, 0.5))
    assert told.value.deviation == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_no_numbers_are_infinitely_far(value: float) -> None:
    given = LOGITS.copy()
    given[1, 1] = value
    np.testing.assert_array_equal(CANARIES.deviations(given), [0, np.inf, 0])
    with pytest.raises(ClassifierMismatchError, match="1 of 3 canaries") as told:
        CANARIES.check(given)
    assert told.value.deviation == np.inf


def test_more_may_be_tolerated_and_less() -> None:
    given = moved(1, 0.5)
    CANARIES.tolerating(2).check(given)
    with pytest.raises(ClassifierMismatchError):
        CANARIES.tolerating(1.9).check(given)
    assert CANARIES.tolerating(1) is CANARIES
    np.testing.assert_allclose(CANARIES.tolerating(0.1).deviations(given), 10 * CANARIES.deviations(given), rtol=1e-6)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(SettingsError, match="canary_tolerance: must be a finite number above 0"):
        CANARIES.tolerating(factor)


def test_other_processors_are_allowed_a_share_of_the_spread() -> None:
    share = LOOSE * float((LOGITS - LOGITS.mean(1, keepdims=True)).std())
    np.testing.assert_allclose(Canaries.loose(IMAGES, LOGITS).allowed, share, rtol=1e-6)
    np.testing.assert_array_equal(CANARIES.loosened().allowed, CANARIES.allowed)  # more already
    tight = Canaries(IMAGES, LOGITS, np.full(3, 1e-4, np.float32))
    np.testing.assert_allclose(tight.loosened().allowed, share, rtol=1e-6)


def test_constant_answers_are_not_allowed_nothing() -> None:
    assert (Canaries.loose(IMAGES, np.ones_like(LOGITS)).allowed > 0).all()
