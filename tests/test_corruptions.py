from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from detector.corruptions import CORRUPTIONS, Corruption, corrupt, everyday

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}
SHAPES = [(3, 3, 12, 9), (2, 1, 8, 8), (1, 3, 32, 40), (2, 1, 1, 1)]
EXACT = 1e-6


def _images(*shape: int) -> Float32Array:
    levels = np.random.default_rng(1).integers(0, 256, shape)
    return (levels / 255).astype(np.float32)


def _named(name: str, images: Float32Array, seed: int = 0) -> Float32Array:
    return corrupt(BY_NAME[name], images, seed)


def _constant(value: float) -> Float32Array:
    return np.full((2, 3, 10, 10), value, np.float32)


def test_names_differ() -> None:
    assert len(BY_NAME) == len(CORRUPTIONS) == 11


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_shape_box_and_levels_stay(corruption: Corruption, shape: tuple[int, ...]) -> None:
    images = _images(*shape)
    before = images.copy()
    corrupted = corrupt(corruption, images, 0)
    assert corrupted.shape == shape
    assert corrupted.dtype == np.float32
    assert corrupted.min() >= 0
    assert corrupted.max() <= 1
    np.testing.assert_allclose(corrupted * 255, np.rint(corrupted * 255), atol=1e-4)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_the_same_seed_gives_the_same_images_and_they_are_altered(corruption: Corruption) -> None:
    images = _images(3, 3, 16, 16)
    corrupted = corrupt(corruption, images, 7)
    np.testing.assert_array_equal(corrupted, corrupt(corruption, images, 7))
    assert np.abs(corrupted - images).mean() > 1 / 255
    random = corruption.name.startswith("Gaussian noise")
    assert np.array_equal(corrupted, corrupt(corruption, images, 8)) is not random


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_an_image_is_corrupted_alone(corruption: Corruption) -> None:
    images = _images(3, 3, 16, 16)
    np.testing.assert_array_equal(corrupt(corruption, images, 0)[:1], corrupt(corruption, images[:1], 0))


@pytest.mark.parametrize("levels", [4, 8])
def test_noise_has_its_standard_deviation(levels: int) -> None:
    grey = np.full((4, 3, 64, 64), 128 / 255, np.float32)
    noise = _named(f"Gaussian noise, {levels}/255", grey) - grey
    rounding = 1 / 12  # variance of rounding to whole levels
    assert (noise * 255).std() == pytest.approx((levels**2 + rounding) ** 0.5, rel=0.02)
    assert (noise * 255).mean() == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("brightness up by 15 %", 100, 115),
        ("brightness up by 15 %", 240, 255),
        ("brightness down by 15 %", 100, 85),
        ("contrast down by 25 %", 100, 100),
        ("Gaussian blur, 0.5 pixel at 32 x 32", 100, 100),
        ("shift by 2 pixels", 100, 100),
        ("rotation by 5 degrees", 100, 100),
        ("downscaling to 3/4 and back", 100, 100),
        ("JPEG, quality 75", 128, 128),
    ],
)
def test_a_constant_image_becomes_a_known_one(name: str, value: int, known: int) -> None:
    np.testing.assert_allclose(_named(name, _constant(value / 255)), known / 255, atol=EXACT)


def test_contrast_is_lowered_around_the_mean() -> None:
    halves = np.full((1, 1, 4, 4), 60 / 255, np.float32)
    halves[..., 2:] = 100 / 255
    np.testing.assert_allclose(_named("contrast down by 25 %", halves)[0, 0, 0] * 255, [65, 65, 95, 95], atol=1e-4)


def test_a_shift_moves_right_and_down_and_repeats_the_edge() -> None:
    image = _images(1, 3, 6, 7)
    shifted = _named("shift by 2 pixels", image)
    np.testing.assert_array_equal(shifted[..., 2:, 2:], image[..., :-2, :-2])
    np.testing.assert_array_equal(shifted[..., 0, 2:], image[..., 0, :-2])
    np.testing.assert_array_equal(shifted[..., 1, 1], image[..., 0, 0])


def test_a_rotation_turns_by_its_angle_about_the_centre() -> None:
    size, reach = 101, 40
    image = np.zeros((1, 1, size, size), np.float32)
    image[0, 0, 49:52, 50 + reach - 1 : 50 + reach + 2] = 1  # a dot right of the centre
    rows, columns = np.mgrid[:size, :size] - 50
    weights = _named("rotation by 5 degrees", image)[0, 0]
    weights /= weights.sum()
    angle = np.degrees(np.arctan2(abs((weights * rows).sum()), (weights * columns).sum()))
    assert angle == pytest.approx(5, abs=0.1)
    assert np.hypot((weights * rows).sum(), (weights * columns).sum()) == pytest.approx(reach, abs=0.1)


@pytest.mark.parametrize(("side", "sigma"), [(16, 0.5), (32, 0.5), (128, 1.0)])
def test_a_large_image_is_blurred_more(side: int, sigma: float) -> None:
    images = _images(1, 1, side, side)
    known = gaussian_filter(images[0, 0], sigma, mode="reflect", truncate=4)
    blurred = _named("Gaussian blur, 0.5 pixel at 32 x 32", images)[0, 0]
    np.testing.assert_allclose(blurred, known, atol=0.5 / 255 + EXACT)


def test_a_lower_jpeg_quality_loses_more() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32)
    smooth = np.stack([np.add.outer(ramp, ramp) / 2, np.outer(ramp, ramp), np.outer(ramp, ramp[::-1])])[None]
    losses = [np.abs(_named(f"JPEG, quality {quality}", smooth) - smooth).mean() for quality in (75, 40)]
    assert 0 < losses[0] < losses[1] < 0.05


def test_downscaling_takes_away_the_finest_pattern() -> None:
    board = (np.indices((16, 16)).sum(axis=0) % 2).astype(np.float32)[None, None]
    assert _named("downscaling to 3/4 and back", board).std() < board.std() / 2


@pytest.mark.parametrize("shape", SHAPES)
def test_everyday_images_keep_shape_box_and_levels(shape: tuple[int, ...]) -> None:
    images = _images(*shape)
    corrupted = everyday(images, 3)
    assert corrupted.shape == shape
    assert corrupted.dtype == np.float32
    assert 0 <= corrupted.min() <= corrupted.max() <= 1
    np.testing.assert_allclose(corrupted * 255, np.rint(corrupted * 255), atol=1e-4)


def test_everyday_images_are_each_altered_in_their_own_way_by_their_seed() -> None:
    images = np.repeat(_images(1, 3, 12, 12), 60, axis=0)
    corrupted = everyday(images, 3)
    np.testing.assert_array_equal(corrupted, everyday(images, 3))
    assert (corrupted != everyday(images, 4)).any()
    distances = np.abs(corrupted - images).mean(axis=(1, 2, 3))
    assert len(np.unique(distances.round(6))) > 40
    assert np.median(distances) > 1 / 255
