"""Which inputs are joined."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.connectivity.choosing import correct_images, groups_of_class, real_pairs

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs
    from detector.research.studies import Workplace


@pytest.fixture
def inputs(workplace: Workplace) -> CalibrationInputs:
    assert workplace.inputs is not None
    return workplace.inputs


def test_pairs_are_images_of_one_class_that_are_right(inputs: CalibrationInputs) -> None:
    images, labels = correct_images(inputs)
    classifier = inputs.loaded.classifier
    assert (classifier.logits(images).argmax(axis=1) == labels).all()
    pairs = real_pairs(images, labels, seed=1, most=100)
    assert len(pairs) == 100
    for end in (pairs.starts, pairs.ends):
        assert (classifier.logits(end).argmax(axis=1) == pairs.classes).all()
    assert len(np.unique(pairs.classes)) > 5  # of all classes, not class by class
    again, other = real_pairs(images, labels, seed=1, most=100), real_pairs(images, labels, seed=2, most=100)
    np.testing.assert_array_equal(again.starts, pairs.starts)
    assert not np.array_equal(other.starts, pairs.starts)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_groups_share_a_class_and_no_image(size: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 83)
    groups = groups_of_class(labels, size, seed=0)
    assert len(groups) == sum(int((labels == label).sum()) // size for label in range(4))
    assert (labels[groups] == labels[groups[:, :1]]).all()
    assert len(np.unique(groups)) == groups.size
    assert len(groups_of_class(labels, size, seed=0, most=3)) == 3


def test_a_class_that_is_too_small_has_no_group() -> None:
    assert groups_of_class(np.array([0, 1, 1]), 3, seed=0).shape == (0, 3)


def test_a_class_of_one_image_has_no_pair(inputs: CalibrationInputs) -> None:
    images = inputs.images
    assert images.labels is not None
    rows = [int(np.flatnonzero(images.labels == label)[0]) for label in range(10)]
    one_each = replace(images, pixels=images.pixels[rows], labels=images.labels[rows])
    with pytest.raises(AnalysisError, match="no class has two"):
        real_pairs(*correct_images(replace(inputs, images=one_each)), seed=0)


def test_images_that_are_all_wrong_are_refused(inputs: CalibrationInputs) -> None:
    images = inputs.images
    assert images.labels is not None
    pixels = np.zeros_like(images.pixels[:1])
    seen = inputs.loaded.classifier.logits(np.zeros((1, *inputs.loaded.classifier.spec.shape), np.float32)).argmax()
    wrong = replace(images, pixels=pixels, labels=np.array([(seen + 1) % 10]))
    with pytest.raises(AnalysisError, match="none is classified correctly"):
        correct_images(replace(inputs, images=wrong))
