"""Peers that read pixels: known small answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detector.evaluation.peers.binary_input import BinaryInput
from detector.evaluation.peers.scene_statistics import (
    asymmetric_gaussian,
    generalised_gaussian,
    normalised_pixels,
    scene_statistics,
)
from tests.evaluation.peers.support import constant_classifier, peer_data

SHAPE = (3, 2, 120, 120)


@pytest.mark.parametrize(("name", "shape", "variance"), [("normal", 2, 9), ("laplace", 1, 18)])
def test_generalised_gaussians_are_recognised(name: str, shape: float, variance: float) -> None:
    values = getattr(np.random.default_rng(0), name)(0, 3, SHAPE)
    found, spread = generalised_gaussian(values)
    assert found.shape == spread.shape == SHAPE[:2]
    np.testing.assert_allclose(found, shape, rtol=0.1)
    np.testing.assert_allclose(spread, variance, rtol=0.1)


def test_an_asymmetric_gaussian_has_its_two_sides_found() -> None:
    values = np.random.default_rng(0).normal(size=SHAPE)
    half = (np.random.default_rng(1).random(SHAPE) < 0.75).astype(np.float64)
    values = np.abs(values) * np.where(half > 0, 3, -1)  # masses in proportion to the sides' deviations
    shape, mean, left, right = asymmetric_gaussian(values)
    np.testing.assert_allclose(shape, 2, rtol=0.1)
    np.testing.assert_allclose(left, 1, rtol=0.1)
    np.testing.assert_allclose(right, 9, rtol=0.1)
    np.testing.assert_allclose(mean, values.mean(axis=(2, 3)), rtol=0.1)


def test_normalised_pixels_know_no_brightness() -> None:
    images = np.random.default_rng(0).uniform(0.2, 0.6, (2, 1, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(normalised_pixels(images), normalised_pixels(images + np.float32(0.25)), atol=1e-4)


def test_a_constant_image_has_finite_statistics() -> None:
    features = scene_statistics(np.full((2, 3, 8, 8), 0.4, np.float32))
    assert features.shape == (2, 54)
    assert np.isfinite(features).all()


def test_noise_on_smooth_images_is_found_by_the_network() -> None:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0.2, 0.8, 12, dtype=np.float32) * rng.uniform(0.5, 1, (240, 1, 12, 1)).astype(np.float32)
    noisy = np.clip(smooth + rng.choice([-0.2, 0.2], smooth.shape).astype(np.float32), 0, 1)
    peer = BinaryInput(epochs=10)
    peer.fit(peer_data(constant_classifier(), smooth[:120], attacked={"noise": noisy[120:180]}))
    assert (peer.score(noisy[180:]) > 0).mean() > 0.95
    assert (peer.score(smooth[180:]) > 0).mean() < 0.05


def test_training_leaves_the_global_generator_as_it_was() -> None:
    images = np.zeros((8, 1, 8, 8), np.float32)
    before = torch.get_rng_state()
    BinaryInput(epochs=1).fit(peer_data(constant_classifier(), images, attacked={"same": images}))
    assert torch.equal(torch.get_rng_state(), before)
