"""Peers that read the classifier's answers: known small answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from detector.evaluation.peers.confidence import Margin, MaxSoftmax
from detector.evaluation.peers.noise import NoiseConsistency
from detector.evaluation.peers.non_local_means import non_local_means
from detector.evaluation.peers.squeezing import FeatureSqueezing
from tests.evaluation.peers.support import peer_data
from tests.support.formulas import FormulaClassifier, one_pixel, two_classes


def test_max_softmax_is_the_probability_of_the_other_classes() -> None:
    peer = MaxSoftmax()
    peer.fit(peer_data(two_classes(lambda pixel: 40 * pixel - 20), one_pixel(0)))
    expected = 1 / (1 + np.exp([20, 10, 0, 10, 20]))
    np.testing.assert_allclose(peer.score(one_pixel(0, 0.25, 0.5, 0.75, 1)), expected, rtol=1e-5)


def test_max_softmax_orders_images_whose_largest_probability_rounds_to_one() -> None:
    peer = MaxSoftmax()
    peer.fit(peer_data(two_classes(lambda pixel: 80 * pixel), one_pixel(0)))
    scores = peer.score(one_pixel(0.7, 0.8, 0.9, 1.0))
    assert (np.diff(scores) < 0).all()
    assert scores[-1] > 0


def test_margin_is_the_distance_of_the_two_largest_logits() -> None:
    logits = np.array([[1, 5, 3], [2, 2, -4], [-9, -1, -8]], np.float32)
    peer = Margin()
    peer.fit(peer_data(FormulaClassifier(lambda images: logits[: len(images)], 3), one_pixel(0)))
    np.testing.assert_array_equal(peer.score(one_pixel(0, 0, 0)), [-2, 0, -7])


def _brightness(images: np.ndarray) -> np.ndarray:
    mean = images.mean(axis=(1, 2, 3))
    return np.stack([np.zeros_like(mean), 50 * (mean - 0.5)], axis=1)


def test_constant_images_of_a_level_that_survives_squeezing_score_zero() -> None:
    peer = FeatureSqueezing()
    images = np.ones((3, 3, 16, 16), np.float32) * np.array([0, 15 / 31, 1], np.float32)[:, None, None, None]
    peer.fit(peer_data(FormulaClassifier(_brightness, 2), images))
    np.testing.assert_allclose(peer.score(images), 0, atol=1e-5)


@pytest.mark.parametrize(("side", "search", "strength"), [(32, 13, 2 / 255), (80, 11, 4 / 255)])
def test_images_are_smoothed_as_the_paper_smooths_images_of_their_size(side: int, search: int, strength: float) -> None:
    images = np.random.default_rng(0).normal(0.5, 0.02, (2, 3, side, side)).astype(np.float32)
    peer = FeatureSqueezing()
    peer.fit(peer_data(FormulaClassifier(_brightness, 2), images))
    expected = non_local_means(images, search=search, strength=strength)
    np.testing.assert_array_equal(peer.squeezers_[-1](images), expected)


def test_the_distance_is_the_largest_over_the_squeezers() -> None:
    peer = FeatureSqueezing(bits=1)
    images = np.full((1, 3, 16, 16), 0.52, np.float32)  # one bit makes it white; the filters leave it
    peer.fit(peer_data(FormulaClassifier(_brightness, 2), images))
    before, after = 1 / (1 + np.exp(-50 * 0.02)), 1.0
    np.testing.assert_allclose(peer.score(images), 2 * (after - before), rtol=1e-3)


def test_non_local_means_leaves_constants_and_clean_edges() -> None:
    images = np.zeros((2, 3, 20, 20), np.float32)
    images[0] = 0.3
    images[1, :, :, 10:] = 0.9
    np.testing.assert_allclose(non_local_means(images), images, atol=1e-5)


def test_non_local_means_takes_away_noise() -> None:
    images = 0.5 + np.random.default_rng(0).normal(0, 3 / 255, (2, 3, 32, 32)).astype(np.float32)
    assert non_local_means(images).std() < images.std() / 2


@pytest.mark.parametrize("size", [4, 8, 32])
def test_non_local_means_of_unlimited_strength_is_a_box_average(size: int) -> None:
    images = np.random.default_rng(0).random((2, 1, size, size)).astype(np.float32)
    expected = uniform_filter(images, size=(1, 1, 3, 3), mode="mirror")
    np.testing.assert_allclose(non_local_means(images, search=3, strength=1e4), expected, atol=1e-5)


def test_non_local_means_takes_images_smaller_than_its_reach() -> None:
    images = np.random.default_rng(0).random((1, 1, 3, 2)).astype(np.float32)
    assert np.isfinite(non_local_means(images)).all()


def test_noise_tells_nothing_about_a_linear_classifier() -> None:
    images = np.random.default_rng(0).uniform(0.3, 0.7, (40, 1, 1, 1)).astype(np.float32)
    peer = NoiseConsistency(deviation=0.01)
    peer.fit(peer_data(two_classes(lambda pixel: 8 * pixel - 4), images))
    assert np.abs(peer.score(images) * peer.spread_.max()).max() < 1e-5


def test_noise_gives_away_an_image_on_a_narrow_peak() -> None:
    def against(pixel: np.ndarray) -> np.ndarray:
        return -3 + np.sin(200 * pixel) / 10 + 8 * np.exp(-(((pixel - 0.5) / 0.005) ** 2))

    images = np.linspace(0.1, 0.4, 60, dtype=np.float32).reshape(-1, 1, 1, 1)
    peer = NoiseConsistency(draws=16, deviation=0.03)
    peer.fit(peer_data(two_classes(against), images))
    assert peer.score(one_pixel(0.5))[0] > 10 * np.abs(peer.score(images)).max()


def test_noise_is_judged_by_the_statistics_of_the_predicted_class() -> None:
    def formula(images: np.ndarray) -> np.ndarray:
        pixel = images[:, 0, 0, 0]
        steep = np.where(pixel > 0.5, 100, 1)
        return np.stack([np.zeros_like(pixel), 5 * np.sign(pixel - 0.5) + steep * np.sin(300 * pixel) / 50], axis=1)

    rng = np.random.default_rng(0)
    images = np.concatenate([rng.uniform(0.1, 0.4, 100), rng.uniform(0.6, 0.9, 100)]).astype(np.float32)
    peer = NoiseConsistency(deviation=0.01)
    peer.fit(peer_data(FormulaClassifier(formula, 2), images.reshape(-1, 1, 1, 1)))
    scores = peer.score(images.reshape(-1, 1, 1, 1))
    assert scores[:100].std() == pytest.approx(1, rel=1e-3)
    assert scores[100:].std() == pytest.approx(1, rel=1e-3)
