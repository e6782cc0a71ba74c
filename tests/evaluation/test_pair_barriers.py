from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.evaluation.pair_barriers import (
    ALPHAS,
    DIFFERENT_CLASSES,
    SAME_CLASS,
    class_pairs,
    compare_pairs,
    pair_barriers,
)
from tests.support.bundles import digits_onnx
from tests.support.formulas import FormulaClassifier, one_pixel, two_classes

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.embedded import EmbeddedDefault

ZEROS = np.zeros(2, np.int64)


def _softplus(value: float) -> float:
    return float(np.log1p(np.exp(value)))


def _bump(pixels: Float32Array) -> Float32Array:
    """Class 0's margin is lost halfway between 0 and 1, where it is 3 against it; 1 for it at both ends."""
    return 16 * pixels * (1 - pixels) - 1


def _three(images: Float32Array) -> Float32Array:
    """Three classes on one pixel, each best around 0, 0.5, 1."""
    centres = np.array([0, 0.5, 1], np.float32)
    return -40 * (images[:, :1, 0, 0] - centres) ** 2


def test_the_grid_is_25_even_points_with_both_ends() -> None:
    np.testing.assert_allclose(ALPHAS, np.linspace(0, 1, 25))


def test_a_barrier_is_known() -> None:
    found = pair_barriers(two_classes(_bump), one_pixel(0, 0), one_pixel(1, 0.25), ZEROS)
    inner, end = _softplus(3), _softplus(-1)
    np.testing.assert_allclose(found.heights, [inner, _softplus(2)], rtol=1e-5)
    np.testing.assert_allclose(found.gaps, [inner - end, 0], rtol=1e-5)  # the second path only rises


def test_the_class_given_is_the_one_whose_loss_is_measured() -> None:
    found = pair_barriers(two_classes(_bump), one_pixel(0, 0), one_pixel(1, 1), np.array([0, 1]))
    np.testing.assert_allclose(found.heights, [_softplus(3), _softplus(1)], rtol=1e-5)
    np.testing.assert_allclose(found.gaps[1], 0, atol=1e-6)  # class 1's loss is largest at the ends


def test_theorems_hold_on_a_real_classifier(digits: EmbeddedDefault) -> None:
    classifier = digits_onnx(digits)
    images = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    classes = np.argmax(classifier.logits(images[:20]), axis=1)
    forth = pair_barriers(classifier, images[:20], images[20:], classes)
    back = pair_barriers(classifier, images[20:], images[:20], classes)
    assert (forth.gaps >= 0).all()
    assert (forth.heights >= forth.gaps).all()
    assert forth.gaps.max() > 0
    np.testing.assert_allclose(forth.heights, back.heights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(forth.gaps, back.gaps, rtol=1e-4, atol=1e-5)
    alone = pair_barriers(classifier, images[3:5], images[23:25], classes[3:5])
    np.testing.assert_allclose(alone.heights, forth.heights[3:5], rtol=1e-4, atol=1e-5)
    still = pair_barriers(classifier, images[:20], images[:20], classes)
    np.testing.assert_allclose(still.gaps, 0, atol=1e-5)


def test_no_pairs_have_no_barriers() -> None:
    found = pair_barriers(two_classes(_bump), one_pixel(), one_pixel(), ZEROS[:0])
    assert found.heights.shape == found.gaps.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_have_one_class_or_two_and_share_no_image(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 5, 101)
    for same in (True, False):
        pairs = class_pairs(labels, seed, same=same)
        assert ((labels[pairs[:, 0]] == labels[pairs[:, 1]]) == same).all()
        assert len(np.unique(pairs)) == pairs.size
        np.testing.assert_array_equal(pairs, class_pairs(labels, seed, same=same))
        assert not np.array_equal(pairs, class_pairs(labels, seed + 1, same=same))


def test_of_one_class_only_an_odd_image_is_left_out() -> None:
    labels = np.array([0] * 4 + [1] * 5 + [2])
    counts = np.bincount(labels[class_pairs(labels, 0, same=True)[:, 0]])
    assert counts.tolist() == [2, 2]


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_make_no_pair(count: int, *, same: bool) -> None:
    assert class_pairs(np.zeros(count, np.int64), 0, same=same).shape == (0, 2)


def test_kinds_of_pairs_are_compared() -> None:
    classifier = FormulaClassifier(_three, 3)
    images = one_pixel(*np.linspace(0, 0.1, 10), *np.linspace(0.9, 1, 10), 0.5)
    labels = np.array([0] * 10 + [2] * 10 + [0])  # the last is classified wrongly
    same, attacked, different = compare_pairs(classifier, images, labels, {"lift": one_pixel(0.8, 0.45, 0.2)}, 0)
    assert [same.name, attacked.name, different.name] == [SAME_CLASS, "a real image and one of lift", DIFFERENT_CLASSES]
    assert same.pairs == 10
    assert same.auroc_gap_vs_same_class is None
    assert attacked.pairs == 2  # taken for 2 and 0; of class 1, which one is taken for, no real image is right
    assert different.pairs > 0
    assert same.median_height is not None
    assert different.median_height is not None
    assert same.median_height < 0.1
    assert different.median_height > 10
    assert same.median_gap == pytest.approx(0, abs=1e-6)


def test_a_barrier_in_the_middle_tells_pairs_apart() -> None:
    """Class 0 holds at both ends, class 1 between: what lies at the far end, taken for 0, is behind a barrier."""
    images, far = one_pixel(0, 0.01, 0.02, 0.03), one_pixel(0.99, 1)
    same, attacked, _ = compare_pairs(two_classes(_bump), images, np.zeros(4, np.int64), {"far": far}, 0)
    assert attacked.auroc_gap_vs_same_class == 1
    assert attacked.median_gap is not None
    assert same.median_gap == pytest.approx(0, abs=1e-6)
    assert attacked.median_gap > 2


def test_kinds_without_a_pair_say_so() -> None:
    one_class = np.zeros(4, np.int64)
    _, *without = compare_pairs(two_classes(_bump), one_pixel(0, 0, 1, 1), one_class, {"weak": one_pixel()}, 0)
    assert [(kind.pairs, kind.median_gap, kind.auroc_gap_vs_same_class) for kind in without] == [(0, None, None)] * 2
