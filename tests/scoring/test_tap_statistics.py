from __future__ import annotations

import numpy as np
import pytest

from detector.scoring.tap_statistics import LEAST_IMAGES, tap_statistics

SIZES = (4, 1, 3)


def _taps(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, sum(SIZES))) * [1, 2, 3, 4, 100, 1, 1, 1] + 7).astype(np.float32)


def test_units_are_standard_deviations_and_centres_class_means() -> None:
    taps, classes = _taps(300), np.arange(300) % 3
    found = tap_statistics(taps, classes, classes=3, sizes=SIZES)
    np.testing.assert_allclose(found.mean, taps.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.inverse_scale, 1 / taps.std(0), rtol=1e-5)
    standardised = (taps - found.mean) * found.inverse_scale
    for label in range(3):
        np.testing.assert_allclose(found.centres[label], standardised[classes == label].mean(0), atol=1e-5)
    np.testing.assert_allclose(found.centres.mean(0), 0, atol=1e-6)
    for layer, size in zip(found.layers, SIZES, strict=True):
        # A typical image is one standard deviation a number from the mean of all.
        lengths = np.square((taps - found.mean)[:, layer] * found.units[layer]).sum(1)
        assert lengths.mean() == pytest.approx(1, rel=1e-4)
        assert found.points[:, layer].shape == (3, size)


@pytest.mark.parametrize("seen", [0, 1, LEAST_IMAGES - 1])
def test_a_class_of_too_few_images_lies_where_the_mean_of_all_does(seen: int) -> None:
    classes = np.repeat([0, 2, 1], [60, LEAST_IMAGES, seen])
    found = tap_statistics(_taps(len(classes)), classes, classes=4, sizes=SIZES)
    assert not found.centres[[1, 3]].any()
    assert found.centres[[0, 2]].any(axis=1).all()


def test_numbers_that_do_not_vary_have_no_part() -> None:
    taps = _taps(100)
    taps[:, 4] = 3  # all of the second layer
    taps[:, 1] = np.float32(1e6) + np.arange(100) % 2 * np.float32(0.0625)  # rounding
    found = tap_statistics(taps, np.zeros(100, np.int64), classes=2, sizes=SIZES)
    assert np.flatnonzero(found.inverse_scale == 0).tolist() == [1, 4]


def test_a_number_that_hardly_varies_does_not_outweigh_its_layer() -> None:
    taps = _taps(200)
    usual = tap_statistics(taps, np.zeros(200, np.int64), classes=2, sizes=SIZES)
    taps[:, 0] = 7 + 1e-3 * (taps[:, 0] - 7)
    found = tap_statistics(taps, np.zeros(200, np.int64), classes=2, sizes=SIZES)
    spread = np.median(taps[:, :4].std(0))
    assert found.inverse_scale[0] == pytest.approx(1 / (0.05 * spread), rel=1e-4)
    np.testing.assert_allclose(found.inverse_scale[1:], usual.inverse_scale[1:])


def test_one_image_is_enough_to_be_defined() -> None:
    found = tap_statistics(_taps(1), np.zeros(1, np.int64), classes=2, sizes=SIZES)
    assert not found.inverse_scale.any()
    assert not found.centres.any()
