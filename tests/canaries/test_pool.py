from __future__ import annotations

import numpy as np
import pytest

from detector.canaries.pool import REAL, make_pool

IMAGES = np.random.default_rng(0).integers(0, 256, (120, 3, 10, 12)).astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("images", [IMAGES, IMAGES[:1], IMAGES[:, :1], IMAGES[:, :, :1, :1]], ids=str)
def test_candidates_are_canonical_images_of_whole_levels(images: np.ndarray) -> None:
    pool = make_pool(images, seed=0)
    assert pool.images.dtype == np.float32
    assert pool.images.shape[1:] == images.shape[1:]
    assert pool.images.min() >= 0
    assert pool.images.max() <= 1
    np.testing.assert_array_equal(np.rint(pool.images * 255).astype(np.float32) / np.float32(255), pool.images)
    np.testing.assert_array_equal(pool.images[pool.real], images[:REAL])
    assert (~pool.real).sum() == 48 + 2 * min(len(images), 24)


def test_the_seed_decides() -> None:
    one, same, other = (make_pool(IMAGES, seed=seed).images for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
