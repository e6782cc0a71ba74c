"""Noise residuals: known small answers, theorems, and a slow twin."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.residuals import KERNELS, LEAST_SHARE, SCALES, octaves, plane_weights, residual_count, residual_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

SHAPES = [(1, 8, 8), (1, 1, 1), (3, 32, 32), (3, 17, 40), (4, 16, 9)]


def _images(shape: tuple[int, int, int], count: int = 3, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).random((count, *shape), np.float32)


def _slow(image: Float32Array) -> list[float]:
    """One image, one pixel at a time, in float64."""
    planes = np.tensordot(plane_weights(len(image)).astype(float), 255.0 * image.astype(float), axes=1)
    found = []
    for octave in range(octaves(*image.shape[1:])):
        if octave:
            planes = _halved(planes)
        for plane, kernel in product(planes, KERNELS.astype(float)):
            padded = np.pad(plane, 1, mode="edge")
            residuals = [
                abs((kernel * padded[row : row + 3, column : column + 3]).sum())
                for row, column in np.ndindex(*plane.shape)
            ]
            for scale in SCALES:
                share = np.mean([np.exp(-residual / scale) for residual in residuals])
                found.append(-np.log((share + LEAST_SHARE) / (1 + LEAST_SHARE)))
    return found


def _halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    _, height, width = planes.shape
    rows, columns = np.arange(0, height - 1, 2), np.arange(0, width - 1, 2)
    corners = [planes[:, rows + i][:, :, columns + j] for i in (0, 1) for j in (0, 1)]
    return np.mean(corners, axis=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_are_the_naive_loop(shape: tuple[int, int, int]) -> None:
    images = _images(shape)
    found = residual_statistics(images)
    assert found.dtype == np.float32
    assert found.shape == (3, residual_count(shape))
    np.testing.assert_allclose(found, [_slow(image) for image in images], rtol=1e-4, atol=1e-5)
    assert found.min() >= -1e-6


@pytest.mark.parametrize(("side", "wanted"), [(1, 1), (8, 1), (15, 1), (16, 2), (31, 2), (32, 3), (224, 3)])
def test_no_image_is_halved_below_eight_pixels(side: int, wanted: int) -> None:
    assert octaves(side, 300) == octaves(300, side) == wanted


def test_planes_and_kernels_keep_the_size_of_noise() -> None:
    for channels in (1, 3, 4):
        weights = plane_weights(channels)
        np.testing.assert_allclose(weights @ weights.T, np.eye(channels), atol=1e-6)
        np.testing.assert_allclose(weights[1:].sum(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.square(KERNELS).sum(axis=(1, 2)), 1, rtol=1e-6)
    np.testing.assert_allclose(KERNELS.sum(axis=(1, 2)), 0, atol=1e-6)


def test_a_flat_image_has_none_and_an_inclined_one_none_of_second_order() -> None:
    flat = np.full((1, 3, 16, 16), 0.3, np.float32)
    np.testing.assert_allclose(residual_statistics(flat), 0, atol=1e-4)
    slope = np.broadcast_to(np.arange(16, dtype=np.float32) * np.float32(1 / 64), (1, 1, 16, 16))
    of_kernels = residual_statistics(slope).reshape(2, len(KERNELS), len(SCALES))[0]
    # Edges aside, where the image stops rising: 2 of 16 columns.
    assert of_kernels[0].min() > 0.1
    assert of_kernels[2].max() < -np.log(14 / 16) + 1e-3
    np.testing.assert_allclose(of_kernels[[1, 3, 4]], 0, atol=1e-4)


def test_noise_of_one_level_is_seen_beside_edges_of_a_hundred() -> None:
    stripes = np.zeros((1, 1, 32, 32), np.float32)
    stripes[..., ::8] = 100 / 255
    noisy = stripes + np.random.default_rng(0).choice([-1, 1], stripes.shape).astype(np.float32) / 255
    quiet, loud = (residual_statistics(np.clip(images, 0, 1)) for images in (stripes, noisy))
    finest = np.arange(len(KERNELS)) * len(SCALES)
    assert (loud[0, finest] - quiet[0, finest]).min() > 0.2


def test_it_rises_with_the_noise() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)
    found = [residual_statistics(np.add(0.5, noise * sigma / 255, dtype=np.float32)) for sigma in (1, 2, 4, 8, 16)]
    assert (np.diff(np.concatenate(found), axis=0) > 0).all()
