"""An image's digest follows from its pixels and its shape, and from nothing else."""

from __future__ import annotations

import numpy as np

from detector.data.digests import image_digests


def test_the_same_pixels_have_the_same_digest_wherever_they_stand() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    digests = image_digests(pixels)
    assert len(set(digests)) == 5
    assert all(len(digest) == 64 for digest in digests)
    assert image_digests(pixels[::-1]) == digests[::-1]
    assert image_digests(np.asfortranarray(pixels)) == digests


def test_one_level_of_one_pixel_or_another_shape_is_another_image() -> None:
    pixels = np.zeros((1, 8, 6, 1), np.uint8)
    changed = pixels.copy()
    changed[0, 3, 3, 0] = 1
    assert len({*image_digests(pixels), *image_digests(changed), *image_digests(pixels.reshape(1, 6, 8, 1))}) == 3
