from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (3, 5, 4)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(5), st.just(4), st.just(3))))
def test_pixels_survive_the_round_trip(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(to_pixels(to_canonical(pixels, SHAPE)), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_every_accepted_dtype_means_the_same_image(dtype: Any) -> None:
    images = PIXELS if dtype is np.uint8 else (PIXELS / 255).astype(dtype)
    canonical = to_canonical(images, SHAPE)
    assert canonical.dtype == np.float32
    assert canonical.flags.c_contiguous
    atol = 1e-3 if dtype is np.float16 else 1e-7
    np.testing.assert_allclose(canonical, PIXELS.transpose(0, 3, 1, 2) / 255, atol=atol)
    np.testing.assert_array_equal(to_pixels(canonical), PIXELS)


def test_one_image_is_a_batch_of_one() -> None:
    np.testing.assert_array_equal(to_canonical(PIXELS[0], SHAPE), to_canonical(PIXELS[:1], SHAPE))


def test_a_grey_image_may_leave_out_its_channel_axis() -> None:
    grey = PIXELS[:1, :, :, :1]
    np.testing.assert_array_equal(to_canonical(grey[0, :, :, 0], (1, 5, 4)), to_canonical(grey, (1, 5, 4)))


def test_the_caller_keeps_its_own_array() -> None:
    images = (PIXELS / 255).astype(np.float32)
    before = images.copy()
    to_canonical(images, SHAPE)[:] = -1
    np.testing.assert_array_equal(images, before)


def test_pixels_are_rounded_to_the_nearest_level_and_clipped() -> None:
    canonical = np.array([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.5], np.float32).reshape(1, 1, 1, 5)
    assert to_pixels(canonical).ravel().tolist() == [0, 0, 1, 255, 255]
