"""The protocol: p-values by hand, rates by counting, and scorers whose figures are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.conformal import ConformalCalibration
from detector.evaluation.protocol import Graded, Judge
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RATES = TargetRates(suspect=0.2, adversarial=0.05)


def graded(scores: ArrayLike, predicted: ArrayLike = 0) -> Graded:
    """Scored images, all of one predicted class unless told otherwise."""
    values = np.asarray(scores, np.float32)
    return Graded(values, np.broadcast_to(np.asarray(predicted, np.int64), values.shape))


def judge(calibration: Graded, benign: Graded, *, rates: TargetRates = RATES, prior_strength: float = 0) -> Judge:
    """A judge that trusts each class alone unless told otherwise."""
    return Judge(calibration=calibration, benign=benign, rates=rates, prior_strength=prior_strength)


def test_p_values_of_one_class_are_counted() -> None:
    found = judge(graded([1, 2, 3, 4]), graded([0])).p_values(graded([0, 1, 2.5, 4, 9]))
    np.testing.assert_allclose(found, [1, 1, 3 / 5, 2 / 5, 1 / 5])


def test_p_values_follow_the_predicted_class() -> None:
    of_two = judge(graded([1, 2, 3, 11, 12, 13], [0, 0, 0, 1, 1, 1]), graded([0]))
    np.testing.assert_allclose(of_two.p_values(graded([5, 5], [0, 1])), [1 / 4, 4 / 4])


def test_a_small_class_is_mixed_with_the_pool_by_the_strength_given() -> None:
    calibration, strength = graded([1, 2, 3, 11], [0, 0, 0, 1]), 2.0
    (found,) = judge(calibration, graded([0]), prior_strength=strength).p_values(graded([12], [1]))
    itself, pooled = 1 / (1 + strength), 1 / 5
    assert found == pytest.approx((itself + 0 + strength * pooled) / (1 + itself + strength))


@pytest.mark.parametrize("strength", [0, 1, 100])
def test_p_values_are_those_the_guard_serves_with(strength: float) -> None:
    rng = np.random.default_rng(0)
    calibration = graded(rng.normal(size=300), rng.integers(0, 4, 300))
    images = graded(rng.normal(size=50), rng.integers(0, 5, 50))  # class 4 was never seen
    served = ConformalCalibration(calibration.scores, calibration.predicted, strength)
    np.testing.assert_array_equal(
        judge(calibration, images, prior_strength=strength).p_values(images),
        served.p_values(images.scores, images.predicted),
    )


def test_false_positives_are_benign_test_images_at_or_below_the_suspect_rate() -> None:
    """Of nine calibration images, an image above all has p 0.1, above all but one 0.2, above all but two 0.3."""
    found = judge(graded(np.arange(9)), graded([10, 7.5, 8, 6.5, 0])).false_positives()
    assert (found.flagged, found.total) == (3, 5)
    assert found.rate == 3 / 5
    assert found.low < 3 / 5 < found.high


def test_a_scorer_that_separates_perfectly_catches_everything() -> None:
    rng = np.random.default_rng(0)
    under = judge(graded(rng.random(200)), graded(rng.random(100)))
    found = under.judge({"attack": graded(2 + rng.random(80))})["attack"]
    assert (found.auroc.value, found.auroc.low, found.auroc.high) == (1, 1, 1)
    assert found.tpr_suspect == found.tpr_adversarial == 1


def test_a_scorer_the_wrong_way_round_catches_nothing() -> None:
    rng = np.random.default_rng(0)
    found = judge(graded(rng.random(200)), graded(rng.random(100))).judge({"attack": graded(-rng.random(80))})["attack"]
    assert found.auroc.value == found.tpr_suspect == found.tpr_adversarial == 0


@pytest.mark.parametrize("strength", [0, 100])
def test_a_random_scorer_flags_attacked_and_benign_images_at_the_target_rates(strength: float) -> None:
    rng = np.random.default_rng(1)

    def drawn(number: int) -> Graded:
        return graded(rng.normal(size=number), rng.integers(0, 3, number))

    under = judge(drawn(6000), drawn(6000), prior_strength=strength)
    found = under.judge({"attack": drawn(6000)})["attack"]
    assert under.false_positives().rate == pytest.approx(RATES.suspect, abs=0.03)
    assert found.tpr_suspect == pytest.approx(RATES.suspect, abs=0.03)
    assert found.tpr_adversarial == pytest.approx(RATES.adversarial, abs=0.015)
    assert found.auroc.low < 0.5 < found.auroc.high


def test_rates_of_attacks_are_shares_of_their_images() -> None:
    """p-values 0.1, 0.1, 0.2, 0.5 at rates 0.1 and 0.2; a tie with a benign image counts half of it."""
    under = judge(graded(np.arange(9)), graded([0, 5]), rates=TargetRates(suspect=0.2, adversarial=0.1))
    found = under.judge({"attack": graded([10, 9, 8, 5])})["attack"]
    assert (found.tpr_suspect, found.tpr_adversarial) == (3 / 4, 2 / 4)
    assert found.auroc.value == 7.5 / 8


def test_attacks_without_two_images_are_left_out() -> None:
    attacked = {"none": graded([]), "one": graded([1]), "two": graded([1, 2])}
    assert list(judge(graded([0, 1]), graded([0, 1])).judge(attacked)) == ["two"]
