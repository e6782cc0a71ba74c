"""Peers that read hidden layers: known small answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from detector.evaluation.peers.beyond import BeyondOwnFeatures
from detector.evaluation.peers.density import KernelDensityPeer
from detector.evaluation.peers.lid import LocalIntrinsicDimensionality, dimension
from detector.evaluation.peers.mahalanobis import ClassGaussians, Mahalanobis
from detector.evaluation.peers.subset_scanning import SubsetScanning
from tests.evaluation.peers.support import constant_classifier, peer_data, points
from tests.support.formulas import FormulaClassifier

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])
MEANS = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, -10.0, 5.0]])


@pytest.fixture(scope="module")
def gaussians() -> tuple[np.ndarray, np.ndarray]:
    """Many samples of three classes, and their labels."""
    labels = np.repeat([0, 1, 2], 4000)
    noise = np.random.default_rng(0).multivariate_normal(np.zeros(3), COVARIANCE, len(labels))
    return MEANS[labels] + noise, labels


def test_class_gaussians_equal_the_closed_form(gaussians: tuple[np.ndarray, np.ndarray]) -> None:
    activations, labels = gaussians
    queries = np.array([[1.0, 2.0, 3.0], [9.0, 1.0, -1.0], [0.0, -8.0, 5.0], [5.0, 0.0, 0.0]])
    differences = queries[:, None] - MEANS
    closed_form = np.einsum("qci,ij,qcj->qc", differences, np.linalg.inv(COVARIANCE), differences).min(axis=1)
    np.testing.assert_allclose(ClassGaussians.fit(activations, labels).distances(queries), closed_form, rtol=0.1)


def test_benign_distances_are_chi_squared(gaussians: tuple[np.ndarray, np.ndarray]) -> None:
    activations, labels = gaussians
    distances = ClassGaussians.fit(activations, labels).distances(activations)
    assert distances.mean() == pytest.approx(3, rel=0.05)
    assert distances.var() == pytest.approx(6, rel=0.1)


def test_distances_do_not_depend_on_the_axes(gaussians: tuple[np.ndarray, np.ndarray]) -> None:
    activations, labels = gaussians
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    expected = ClassGaussians.fit(activations, labels).distances(activations[:50])
    turned = ClassGaussians.fit(activations @ turn + 7, labels).distances(activations[:50] @ turn + 7)
    np.testing.assert_allclose(turned, expected, rtol=1e-6)


def test_channels_that_never_move_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    activations = np.concatenate([rng.normal(size=(60, 2)), np.zeros((60, 1))], axis=1)
    gaussian = ClassGaussians.fit(activations, np.zeros(60, np.int64))
    assert np.isfinite(gaussian.distances(activations)).all()
    still = ClassGaussians.fit(np.ones((60, 3)), np.zeros(60, np.int64))
    np.testing.assert_allclose(still.distances(np.ones((2, 3))), 0, atol=1e-6)


def test_layers_weigh_the_same_whatever_their_scale() -> None:
    rng = np.random.default_rng(0)
    images = points(rng.normal(size=(200, 3)))

    def layers(images: Float32Array) -> tuple[Float32Array, ...]:
        return images[:, 0, 0, :1], 1000 * images[:, 0, 0, 1:]

    peer = Mahalanobis()
    peer.fit(peer_data(constant_classifier(), images, hidden=layers))
    first, second = peer.score(points(np.array([[6.0, 0, 0], [0, 6.0, 0]])))
    assert first > 10
    assert second > 10


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_lid_of_a_uniform_cube_is_its_dimension(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    cube = rng.uniform(-1, 1, (4000, dimensions))
    queries = rng.uniform(-0.3, 0.3, (300, dimensions))
    distances = np.sort(np.linalg.norm(queries[:, None] - cube, axis=2), axis=1)[:, :20]
    # With k neighbours the estimate is k / (k - 2) times too large on average: 20 / 18.
    assert dimension(distances).mean() * 18 / 20 == pytest.approx(dimensions, rel=0.1)


def test_lid_of_known_distances() -> None:
    distances = np.array([[0.25, 0.5, 1.0], [1.0, 2.0, 4.0]])
    np.testing.assert_allclose(dimension(distances), 3 / (3 * np.log(2)), rtol=1e-12)


@pytest.mark.parametrize("distances", [[0, 0, 0], [0, 0, 1], [1, 1, 1]])
def test_lid_is_finite_where_neighbours_coincide(distances: list[float]) -> None:
    found = dimension(np.array([distances], np.float64))
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_lid_tells_a_line_from_what_lies_off_it() -> None:
    rng = np.random.default_rng(0)
    direction = rng.normal(size=6)
    line = points(rng.uniform(-1, 1, (400, 1)) * direction + rng.normal(0, 1e-3, (400, 6)))
    off = points(rng.uniform(-1, 1, (200, 1)) * direction + rng.normal(0, 0.5, (200, 6)))
    peer = LocalIntrinsicDimensionality()
    peer.fit(peer_data(constant_classifier(), line, attacked={"off": off[:100]}))
    assert (peer.score(off[100:]) > 0).mean() > 0.8


def test_lid_seeks_no_neighbours_among_the_originals_of_attacked_images() -> None:
    rng = np.random.default_rng(0)
    images, still = points(rng.normal(size=(200, 4))), points(rng.normal(size=(30, 4)))
    attacked = images[:60] + np.float32(1e-3)
    data = peer_data(constant_classifier(), images, attacked={"nudge": attacked})
    peer = LocalIntrinsicDimensionality(neighbours=5)
    peer.fit(data)
    (indices,) = peer.references_
    kept = np.concatenate([index._fit_X for index in indices])
    assert len(kept) > 20
    assert cdist(kept, images[:60, 0, 0]).min() > 0
    assert np.isfinite(peer.score(still)).all()


def test_density_is_the_sum_of_kernels() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 2))
    peer = KernelDensityPeer()
    peer.fit(peer_data(constant_classifier(), points(values)))
    bandwidth = peer.densities_[0].bandwidth_
    query = np.array([0.3, -0.2])
    kernels = [multivariate_normal(value, bandwidth**2).pdf(query) for value in values.astype(np.float32)]
    assert peer.score(points(query[None]))[0] == pytest.approx(-np.log(np.mean(kernels)), rel=1e-4)


def test_density_is_that_of_the_predicted_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    values = rng.normal(size=(100, 2)) + 20.0 * labels[:, None]

    def formula(images: Float32Array) -> Float32Array:
        far = images[:, 0, 0, 0] > 10
        return np.stack([far, ~far], axis=1).astype(np.float32)  # always wrong

    peer = KernelDensityPeer()
    peer.fit(peer_data(FormulaClassifier(formula, 2), points(values), labels))
    assert peer.score(points(values)).min() > 100


def test_the_bandwidth_follows_the_scale() -> None:
    values = np.random.default_rng(0).normal(size=(80, 3))
    bandwidths = []
    for scale in (1, 100):
        peer = KernelDensityPeer()
        peer.fit(peer_data(constant_classifier(), points(values * scale)))
        bandwidths.append(peer.densities_[0].bandwidth_)
    assert bandwidths[1] == pytest.approx(100 * bandwidths[0], rel=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_image_beyond_the_background_in_every_channel_scores_the_largest_berk_jones_statistic(sign: int) -> None:
    background = np.random.default_rng(0).normal(size=(41, 7))
    peer = SubsetScanning()
    peer.fit(peer_data(constant_classifier(), points(background)))
    beyond = points(np.full((1, 7), 100.0 * sign))
    assert peer.score(beyond)[0] == pytest.approx(7 * np.log(41 + 1), rel=1e-6)
    assert peer.score(points(background)).max() < 7 * np.log(42)


def test_an_image_in_the_middle_of_the_background_has_p_values_of_one_half() -> None:
    background = np.random.default_rng(0).normal(size=(40, 5))
    peer = SubsetScanning()
    peer.fit(peer_data(constant_classifier(), points(background)))
    middle = peer.score(points(np.median(background[:39], axis=0)[None] + 1e-3))
    assert middle[0] == pytest.approx(5 * np.log(2), rel=1e-6)


def test_beyond_scores_an_image_that_keeps_label_and_features_by_its_confidence() -> None:
    """Uniform images stay uniform however they are cropped and recoloured."""
    rng = np.random.default_rng(0)
    uniform = np.full((40, 3, 8, 8), 0.5, np.float32) + rng.uniform(-0.2, 0.2, (40, 1, 1, 1)).astype(np.float32)
    rough = rng.random((40, 3, 8, 8)).astype(np.float32)

    def hidden(images: Float32Array) -> tuple[Float32Array, ...]:
        flat = (np.ptp(images, axis=(2, 3)).max(axis=1) < 1e-4).astype(np.float32)
        return (np.stack([flat, 1 - flat], axis=1),)

    labels = np.repeat([0, 1], 40)
    peer = BeyondOwnFeatures(neighbours=6, nearest=3)
    peer.fit(peer_data(constant_classifier(), np.concatenate([uniform, rough]), labels, hidden=hidden))
    model = peer.detector_.ssl_model
    probabilities = model.classifier(model.backbone(torch.from_numpy(uniform[:1]))).numpy()[0]
    expected = -(0.8 * probabilities.max() / np.linalg.norm(probabilities) + 0.2)
    np.testing.assert_allclose(peer.score(uniform), expected, rtol=1e-5)


def test_beyond_sees_features_that_hang_on_a_pattern_lost_with_a_crop() -> None:
    """An image is told flat or rough by its texture; a chequered corner makes a rough one look flat."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    images = 0.5 + rng.uniform(-0.3, 0.3, (80, 3, 12, 12)).astype(np.float32) * labels[:, None, None, None]
    corner = (np.indices((4, 4)).sum(axis=0) % 2).astype(np.float32)

    def hidden(images: Float32Array) -> tuple[Float32Array, ...]:
        marked = np.abs(images[:, :, :4, :4] - corner).max(axis=(1, 2, 3)) < 1e-4
        flat = np.where(marked, 0.0, images.std(axis=(1, 2, 3)))
        return (np.stack([flat, 1 - flat], axis=1).astype(np.float32),)

    attacked = images[40:].copy()
    attacked[:, :, :4, :4] = corner
    peer = BeyondOwnFeatures(neighbours=8, nearest=5)
    peer.fit(peer_data(constant_classifier(), images, labels, hidden=hidden))
    assert peer.score(attacked).min() > peer.score(images).max()
