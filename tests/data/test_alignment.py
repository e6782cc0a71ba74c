"""Labels mean the classifier's classes, or the user is told why not."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from detector.data.alignment import align_labels, check_classes
from detector.data.source import ImageSet
from detector.errors import DataError

ANIMALS = ("cat", "dog", "polar bear")


def _images(labels: list[int] | None, class_names: tuple[str, ...] | None) -> ImageSet:
    count = 2 if labels is None else len(labels)
    return ImageSet(
        pixels=np.zeros((count, 2, 2, 3), np.uint8),
        labels=None if labels is None else np.array(labels, dtype=np.int64),
        names=tuple(f"images[{i}]" for i in range(count)),
        class_names=class_names,
    )


@pytest.mark.parametrize(
    ("labels", "names", "classifier", "expected"),
    [
        ([0, 1, 2], ("Cat", "DOG", "Polar_Bear"), ANIMALS, [0, 1, 2]),
        ([0, 1, 2], ("cat", "dog", "polar-bear"), ("polar bear", "dog", "cat"), [2, 1, 0]),
        ([0, 1, 0], ("dog", "polar bear"), ANIMALS, [1, 2, 1]),
        ([1, 1], ("README", "dog"), ANIMALS, [1, 1]),
        ([0, 1, 2], ("0", "1", "10"), tuple(f"class_{i}" for i in range(11)), [0, 1, 10]),
        ([0, 1], ("0", "1"), ("1", "0"), [1, 0]),
        ([2, 0], None, ANIMALS, [2, 0]),
    ],
    ids=["spelling", "order", "some classes", "unused unknown name", "numbers", "numbers are names", "no names"],
)
def test_labels_are_renumbered(
    labels: list[int],
    names: tuple[str, ...] | None,
    classifier: tuple[str, ...],
    expected: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    aligned = align_labels(_images(labels, names), classifier)
    assert aligned.labels is not None
    assert aligned.labels.tolist() == expected
    assert aligned.class_names == classifier
    assert not caplog.messages


def test_unknown_names_in_equal_number_are_taken_in_order_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="isthmus"):
        aligned = align_labels(_images([2, 0, 1], ("ant", "bee", "cow")), ("class_0", "class_1", "class_2"))
    assert aligned.labels is not None
    assert aligned.labels.tolist() == [2, 0, 1]
    assert "the data's classes (ant, bee, cow) are none of the classifier's (class_0, class_1, class_2)" in caplog.text


def test_without_labels_nothing_happens() -> None:
    images = _images(None, None)
    assert align_labels(images, ANIMALS) is images


@pytest.mark.parametrize(
    ("labels", "names", "classifier", "message"),
    [
        ([0, 1, 2], ("cat", "dog", "horse"), ANIMALS, r"knows no horse: it has 3 classes \(cat, dog, polar bear\)"),
        ([0, 1], ("ant", "bee"), ANIMALS, "knows no ant, bee: it has 3 classes .* the data 2; rename"),
        ([0, 1], ("0", "3"), ANIMALS, r"label 3 is no class of the classifier, which has 3 \(0 to 2\); 1 image"),
        ([0, 7, 9], None, ANIMALS, "label 7 is no class of the classifier.*2 image"),
        ([0], ("crane",), ("crane", "Crane"), "two classes named crane; name the data's classes by their indices"),
        ([0, 1], tuple(f"n{i}" for i in range(20)), ANIMALS, "knows no n0, n1"),
    ],
)
def test_labels_that_do_not_fit(
    labels: list[int], names: tuple[str, ...] | None, classifier: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        align_labels(_images(labels, names), classifier)


def test_missing_and_scarce_classes_are_named() -> None:
    labels = np.repeat([0, 1, 2], [50, 60, 2])
    assert check_classes(labels, ("cat", "dog", "horse", "ship")) == [
        "no image of ship; add some, or nothing can be promised for them",
        "few images of horse (2), where 26 are typical; add some",
    ]
    assert check_classes(labels[:110], 3) == ["no image of class 2; add some, or nothing can be promised for them"]


def test_even_classes_raise_no_warning() -> None:
    assert check_classes(np.arange(100) % 10, 10) == []


def test_long_lists_are_cut() -> None:
    (warning,) = check_classes(np.array([0]), 1_000)
    assert "class 1, class 2" in warning
    assert "and 991 more" in warning
    assert len(warning) < 200
