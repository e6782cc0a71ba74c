from __future__ import annotations

import numpy as np
import pytest

from detector.calibration.split import fit_count, split_images

CLASSES = np.random.default_rng(0).choice(5, 503, p=[0.5, 0.3, 0.1, 0.08, 0.02])
MANY_SMALL = np.repeat(np.arange(41), 4)


@pytest.mark.parametrize("classes", [CLASSES, MANY_SMALL, np.zeros(1, np.int64)], ids=["uneven", "small", "one image"])
@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.5, 0.99])
def test_both_parts_are_disjoint_and_cover_every_image(classes: np.ndarray, fraction: float) -> None:
    split = split_images(classes, fraction, seed=0)
    together = np.concatenate([split.fit, split.calibration])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(classes)))
    assert len(split.fit) == fit_count(len(classes), fraction)


@pytest.mark.parametrize("classes", [CLASSES, MANY_SMALL], ids=["uneven", "small"])
@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.5])
def test_every_class_is_split_in_the_same_proportion(classes: np.ndarray, fraction: float) -> None:
    split = split_images(classes, fraction, seed=3)
    sizes = np.bincount(classes)
    fitted = np.bincount(classes[split.fit], minlength=len(sizes))
    assert (np.abs(fitted - sizes * fraction) <= 1).all()


def test_the_seed_decides() -> None:
    first, again, other = (split_images(CLASSES, 0.4, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.fit, again.fit)
    np.testing.assert_array_equal(first.calibration, again.calibration)
    assert set(first.fit.tolist()) != set(other.fit.tolist())


def test_every_image_of_a_class_is_as_likely_to_be_fitted() -> None:
    classes = np.repeat([0, 1], [10, 3])
    fitted = np.zeros(13)
    for seed in range(2000):
        fitted[split_images(classes, 0.4, seed).fit] += 1
    for rows in (fitted[:10], fitted[10:]):
        spread = np.sqrt(2000 * 0.25)
        assert np.abs(rows - rows.mean()).max() < 4 * spread


def test_neither_part_is_sorted() -> None:
    split = split_images(CLASSES, 0.4, seed=0)
    assert (np.diff(split.fit) < 0).any()
    assert (np.diff(CLASSES[split.fit]) < 0).any()
