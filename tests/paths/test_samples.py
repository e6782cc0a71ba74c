"""Barriers of paths: small answers worked out by hand, and theorems on a real classifier (methods A.6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.paths.curves import LossCurves, loss_curves
from detector.paths.samples import BarrierSample, Measure, averaged
from tests.support.bundles import digits_onnx
from tests.support.formulas import bump, one_pixel, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.embedded import EmbeddedDefault

ZEROS = np.zeros(2, np.int64)


def _softplus(value: float) -> float:
    return float(np.log1p(np.exp(value)))


def _sample(
    classifier: Classifier, starts: Float32Array, ends: Float32Array, classes: NDArray[np.int64]
) -> BarrierSample:
    return BarrierSample.of(loss_curves(classifier, starts, ends, classes, points=25), classes)


def test_a_barrier_is_known() -> None:
    found = _sample(two_classes(bump), one_pixel(0, 0), one_pixel(1, 0.25), ZEROS)
    inner, end = _softplus(3), _softplus(-1)
    np.testing.assert_allclose(found.heights, [inner, _softplus(2)], rtol=1e-5)
    np.testing.assert_allclose(found.gaps, [inner - end, 0], rtol=1e-5)  # the second path only rises
    assert found.positions is not None
    np.testing.assert_array_equal(found.positions, np.array([0.5, 1], np.float32))
    np.testing.assert_allclose(found.ends, [end, _softplus(2)], rtol=1e-5)


def test_the_class_given_is_the_one_whose_loss_is_measured() -> None:
    found = _sample(two_classes(bump), one_pixel(0, 0), one_pixel(1, 1), np.array([0, 1]))
    np.testing.assert_allclose(found.heights, [_softplus(3), _softplus(1)], rtol=1e-5)
    np.testing.assert_allclose(found.gaps[1], 0, atol=1e-6)  # class 1's loss is largest at the ends


def test_theorems_hold_on_a_real_classifier(digits: EmbeddedDefault) -> None:
    classifier = digits_onnx(digits)
    images = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    classes = np.argmax(classifier.logits(images[:20]), axis=1)
    forth = _sample(classifier, images[:20], images[20:], classes)
    back = _sample(classifier, images[20:], images[:20], classes)
    assert (forth.gaps >= 0).all()
    assert (forth.heights >= forth.gaps).all()
    assert forth.gaps.max() > 0
    np.testing.assert_allclose(forth.heights, back.heights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(forth.gaps, back.gaps, rtol=1e-4, atol=1e-5)
    alone = _sample(classifier, images[3:5], images[23:25], classes[3:5])
    np.testing.assert_allclose(alone.heights, forth.heights[3:5], rtol=1e-4, atol=1e-5)
    still = _sample(classifier, images[:20], images[:20], classes)
    np.testing.assert_allclose(still.gaps, 0, atol=1e-5)


def test_no_pairs_have_no_barriers() -> None:
    found = _sample(two_classes(bump), one_pixel(), one_pixel(), ZEROS[:0])
    assert len(found) == 0
    assert found.gaps.shape == found.heights.shape == (0,)


def test_measures_are_averaged_over_the_anchors_of_each_input() -> None:
    losses = np.array([[0, 2, 0], [1, 5, 1], [0, 0, 4], [0, 0, 2]], np.float32)
    found = averaged(LossCurves(np.array([0, 0.5, 1]), losses), 2)
    np.testing.assert_allclose(found[Measure.HEIGHT], [3.5, 3])
    np.testing.assert_allclose(found[Measure.GAP], [3, 0])
    np.testing.assert_allclose(found[Measure.AREA], [2, 0.75])
