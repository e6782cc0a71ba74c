from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.evaluation.pair_barriers import (
    DIFFERENT_CLASSES,
    SAME_CLASS,
    compare_pairs,
)
from tests.support.formulas import FormulaClassifier, bump, one_pixel, two_classes

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array


def _three(images: Float32Array) -> Float32Array:
    """Three classes on one pixel, each best around 0, 0.5, 1."""
    centres = np.array([0, 0.5, 1], np.float32)
    return -40 * (images[:, :1, 0, 0] - centres) ** 2


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
    same, attacked, _ = compare_pairs(two_classes(bump), images, np.zeros(4, np.int64), {"far": far}, 0)
    assert attacked.auroc_gap_vs_same_class == 1
    assert attacked.median_gap is not None
    assert same.median_gap == pytest.approx(0, abs=1e-6)
    assert attacked.median_gap > 2


def test_kinds_without_a_pair_say_so() -> None:
    one_class = np.zeros(4, np.int64)
    _, *without = compare_pairs(two_classes(bump), one_pixel(0, 0, 1, 1), one_class, {"weak": one_pixel()}, 0)
    assert [(kind.pairs, kind.median_gap, kind.auroc_gap_vs_same_class) for kind in without] == [(0, None, None)] * 2
