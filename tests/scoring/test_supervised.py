from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from detector.errors import CalibrationError
from detector.scoring.gaussian import MIN_IMAGES, fit_gaussian, usual_distances
from detector.scoring.linear import Linear, fit_linear
from detector.scoring.supervised import _TREES, DOUBT, fit_supervised
from detector.scoring.tail import NATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

FEATURES = 10


def _features(count: int, seed: int, shift: float = 0.0, feature: int = 0) -> Float32Array:
    values = np.random.default_rng(seed).standard_normal((count, FEATURES)).astype(np.float32)
    values[:, feature] += shift
    return values


def _twins(
    benign: Float32Array, attacked: list[Float32Array], weights: list[float]
) -> tuple[HistGradientBoostingClassifier, Linear]:
    """scikit-learn's own trees on rounded features, and the weighted sum, with one weight per group."""
    groups = [benign, *attacked]
    sample_weights = np.repeat([1.0, *weights], [len(group) for group in groups])
    labels = np.repeat([False, *(True for _ in attacked)], [len(group) for group in groups])
    features = np.concatenate(groups)
    step = 1e-4 * features.std(axis=0)
    trees = HistGradientBoostingClassifier(**_TREES, random_state=0).fit(
        np.rint(features / step) * step, labels, sample_weight=sample_weights
    )
    return trees, fit_linear(benign, features, labels, sample_weights)


def _tail(benign: Float32Array, others: Float32Array, quantile: float = 0.995) -> NDArray[np.float64]:
    """A one-class tail, computed plainly."""
    usual = np.log(usual_distances(benign))
    beyond = np.log(fit_gaussian(benign).distances(others)) - np.quantile(usual, quantile)
    return NATS * np.maximum(beyond, 0) / usual.std()


def test_the_graph_is_minus_log_probability_of_benign_and_a_tail_with_each_attack_weighing_the_same() -> None:
    benign = _features(120, 0)
    attacked = {"rare": _features(10, 1, -2), "common": _features(90, 2, 2), "never": _features(0, 3)}
    # 120 benign images: 60 for each of the two attacks that have images, sorted by name.
    trees, linear = _twins(benign, [attacked["common"], attacked["rare"]], [60 / 90, 60 / 10])
    others = np.concatenate([_features(100, 4), _features(100, 5, 2), _features(100, 6, -2)])
    scores = fit_supervised(benign, attacked).score(others)
    log_odds = (trees.decision_function(others) + linear.log_odds(others)) / 2
    wanted = np.logaddexp(0, log_odds) + _tail(benign, others)
    np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-4)
    assert scores.dtype == np.float32
    assert scores.min() >= 0


def test_it_tells_attacks_on_either_side_from_benign_images_it_never_saw() -> None:
    attacked = {"shallow": _features(100, 1, -3), "deep": _features(100, 2, 3)}
    scorer = fit_supervised(_features(300, 0), attacked)
    benign = scorer.score(_features(200, 7))
    for shift in (-3, 3):
        scores = np.concatenate([benign, scorer.score(_features(200, 8, shift))])
        assert roc_auc_score(np.arange(400) >= 200, scores) > 0.9


def test_what_no_attack_in_training_was_like_is_flagged_by_its_distance_alone() -> None:
    benign = _features(400, 0)
    scorer = fit_supervised(benign, {"shallow": _features(100, 1, 3)})
    usual = scorer.score(_features(400, 2))
    unheard_of = scorer.score(_features(100, 3, 12, feature=5))
    assert unheard_of.min() > np.quantile(usual, 0.99)
    assert (_tail(benign, _features(1000, 4)) > 0).mean() < 0.02


def test_noise_residuals_have_a_tail_of_their_own_that_what_is_corrupted_does_not_widen() -> None:
    benign, attacked, corrupted = _features(200, 0), {"a": _features(60, 1, 2)}, _features(300, 2, 8, feature=6)
    others = np.concatenate([_features(60, 3), _features(60, 4, 12, feature=6)])
    of_residuals = np.array([5, 6, 7])
    plain, wary = (
        fit_supervised(benign, attacked, corrupted=corrupted, residuals=columns).score(others)
        for columns in (None, of_residuals)
    )
    wanted = _tail(benign[:, of_residuals], others[:, of_residuals], 0.97)
    np.testing.assert_allclose(wary - plain, wanted, rtol=1e-3, atol=1e-3)
    assert wanted[60:].min() > wanted[:60].max()


def test_the_classifiers_doubt_adds_to_the_score_in_proportion() -> None:
    benign, attacked = _features(120, 0), {"a": _features(60, 1, 2)}
    others = _features(50, 2)
    plain, doubting = (fit_supervised(benign, attacked, doubt=doubt) for doubt in (None, 4))
    np.testing.assert_allclose(doubting.score(others) - plain.score(others), DOUBT * others[:, 4], atol=1e-4)


def test_images_shown_corrupted_are_taken_for_benign() -> None:
    benign, attacked = _features(200, 0), {"a": _features(100, 1, 3)}
    odd = _features(200, 2, 3)
    odd[:, 1] += 3  # like the attack, but for one more feature
    new = _features(200, 3, 3)
    new[:, 1] += 3
    before, after = (fit_supervised(benign, attacked, corrupted=part).score(new) for part in (None, odd))
    assert np.median(after) < 0.5 * np.median(before)
    none = fit_supervised(benign, attacked, corrupted=benign[:0])
    np.testing.assert_array_equal(none.score(new), before)


def test_the_order_of_the_attacks_does_not_matter_and_the_seed_does() -> None:
    benign, one, two = _features(60, 0), _features(30, 1, 1), _features(30, 2, -1)
    first = fit_supervised(benign, {"a": one, "b": two})
    assert fit_supervised(benign, {"b": two, "a": one}).model == first.model
    assert fit_supervised(benign, {"a": one, "b": two}, seed=1).model != first.model


@pytest.mark.parametrize(
    ("benign", "attacks"), [(MIN_IMAGES - 1, (50,)), (50, (MIN_IMAGES - 1,)), (50, (10, 9)), (50, ()), (50, (0, 0))]
)
def test_too_few_images_are_refused_with_a_way_out(benign: int, attacks: tuple[int, ...]) -> None:
    attacked = {str(i): _features(count, i) for i, count in enumerate(attacks)}
    with pytest.raises(CalibrationError, match=f"not {benign} and {sum(attacks)}; .*--scorer one-class"):
        fit_supervised(_features(benign, 9), attacked)
