from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from detector.evaluation.unattacked import fit_to_shape, mixed_pairs

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

EXACT = 1e-6


def _images(*shape: int) -> Float32Array:
    levels = np.random.default_rng(1).integers(0, 256, shape)
    return (levels / 255).astype(np.float32)


def test_a_mixed_image_is_the_average_of_two_classes() -> None:
    labels = np.arange(40) % 4
    images = np.broadcast_to((2 * 4**labels / 255)[:, None, None, None], (40, 1, 2, 2)).astype(np.float32)
    sums = {float(4**a + 4**b) for a in range(4) for b in range(a)}  # two powers of 4 tell which two were summed
    mixed = mixed_pairs(images, labels, 3)
    assert set(np.rint(mixed.ravel() * 255).tolist()) <= sums
    assert 10 <= len(mixed) <= 20
    np.testing.assert_array_equal(mixed, mixed_pairs(images, labels, 3))
    assert not np.array_equal(mixed, mixed_pairs(images, labels, 4))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28)])
def test_images_that_fit_keep_their_pixels_in_every_channel(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    fitted = fit_to_shape(pixels, shape)
    assert fitted.shape == (3, *shape)
    for channel in range(shape[0]):
        np.testing.assert_array_equal(np.rint(fitted[:, channel] * 255), pixels)


def test_images_are_resized_bilinearly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)
    fitted = fit_to_shape(pixels, (3, 32, 20))
    for image, original in zip(fitted, pixels, strict=True):
        known = np.asarray(Image.fromarray(original).resize((20, 32), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(np.rint(image * 255), np.broadcast_to(known, (3, 32, 20)))
