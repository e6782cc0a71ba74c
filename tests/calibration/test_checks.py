from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from detector.calibration.checks import check_amount, check_classes_reach, check_labels, smallest_calibration
from detector.calibration.options import CalibrationOptions
from detector.calibration.split import split_images
from detector.conformal import ConformalCalibration
from detector.verdicts import TargetRates

NAMES = tuple("abcdefghij")
BALANCED = np.repeat(np.arange(10), 60)


def _options(rate: float = 0.01, prior: float = 50.0, fit_fraction: float = 0.4) -> CalibrationOptions:
    return CalibrationOptions(rates=TargetRates(0.5, rate), prior_strength=prior, fit_fraction=fit_fraction)


def _mostly(labels: np.ndarray, accuracy: float) -> np.ndarray:
    wrong = np.random.default_rng(0).random(len(labels)) >= accuracy
    return np.where(wrong, (labels + 1) % 10, labels)


def _smallest(counts: list[int], label: int, prior: float) -> float:
    """The p-value of an image that scores above all others, from the calibration itself."""
    classes = np.repeat(np.arange(len(counts)), counts)
    calibration = ConformalCalibration(np.zeros(len(classes), np.float32), classes, prior)
    return float(calibration.p_values(np.ones(1, np.float32), np.array([label]))[0])


@pytest.mark.parametrize("rate", [0.4, 0.1, 0.05, 0.03, 0.01, 0.007, 0.001])
def test_the_fewest_calibration_images_just_reach_the_rate(rate: float) -> None:
    fewest = smallest_calibration(_options(rate))
    assert _smallest([fewest], 1, 50) <= rate < _smallest([fewest - 1], 1, 50)


@pytest.mark.parametrize("classes", [1, 10, 60])
@pytest.mark.parametrize("fit_fraction", [0.1, 0.4, 0.75])
def test_what_passes_leaves_enough_after_the_split(classes: int, fit_fraction: float) -> None:
    options = _options(fit_fraction=fit_fraction)
    images = int(np.ceil(smallest_calibration(options) / (1 - fit_fraction)))
    check_amount(images, options)
    split = split_images(np.arange(images) % classes, fit_fraction, seed=0)
    assert len(split.calibration) >= smallest_calibration(options)


def test_good_labels_are_not_warned_about() -> None:
    assert check_labels(_mostly(BALANCED, 0.9), BALANCED, NAMES) == []


def test_a_missing_class_is_named() -> None:
    labels = BALANCED[BALANCED != 4]
    (warning,) = check_labels(_mostly(labels, 0.9), labels, NAMES)
    assert warning.startswith("no image of e;")


def test_two_swapped_classes_among_many_are_named() -> None:
    swapped = np.array([0, 2, 1, 3, 4, 5, 6, 7, 8, 9])[_mostly(BALANCED, 0.9)]
    (warning,) = check_labels(swapped, BALANCED, NAMES)
    assert "'b' as 'c', 'c' as 'b'; are their labels right?" in warning


def test_perfect_accuracy_is_suspicious_on_many_images_only() -> None:
    (warning,) = check_labels(BALANCED, BALANCED, NAMES)
    assert "accuracy is 100.00% on 600 images" in warning
    assert "trained on?" in warning
    assert check_labels(BALANCED[::2], BALANCED[::2], NAMES) == []


def test_one_class_only_can_be_judged() -> None:
    labels = np.zeros(50, np.int64)
    warnings = check_labels(labels, labels, ("a",))
    assert warnings == []


SHORT = [  # images per class, rate, prior
    ([3, 500, 500], 0.01, 0.0),
    ([60, 98, 99], 0.01, 0.0),
    ([10, 45, 45], 0.01, 50.0),
    ([20, 30, 300], 0.002, 50.0),
    ([1, 8, 900], 0.001, 5.0),
]


@pytest.mark.parametrize(("counts", "rate", "prior"), SHORT)
def test_classes_that_can_not_reach_adversarial_are_listed_with_the_number_that_would_do(
    counts: list[int], rate: float, prior: float
) -> None:
    names = ("cat", "dog", "emu")
    (warning,) = check_classes_reach(np.array([counts]), names, _options(rate, prior))
    for label, name in enumerate(names):
        short = _smallest(counts, label, prior) > rate
        assert (f"{name} ({counts[label]})" in warning) == short
    needed = int(re.findall(r"about (\d+) calibration images", warning)[0])
    lacking = [label for label in range(3) if _smallest(counts, label, prior) > rate]
    assert all(_smallest(_with(needed, label, counts), label, prior) <= rate for label in lacking)
    assert any(_smallest(_with(needed - 1, label, counts), label, prior) > rate for label in lacking)


def _with(images: int, label: int, counts: list[int]) -> list[int]:
    return [images if other == label else count for other, count in enumerate(counts)]


def test_classes_that_reach_adversarial_or_have_no_image_are_not_listed() -> None:
    assert check_classes_reach(np.array([[99, 99, 0]]), ("cat", "dog", "emu"), _options(prior=0.0)) == []
    assert check_classes_reach(np.array([[5, 40, 900]]), ("cat", "dog", "emu"), _options()) == []


def test_a_larger_rate_is_reached_by_fewer_images() -> None:
    options = _options(prior=0.0)
    counts, names = [30, 200], ("cat", "dog")
    assert check_classes_reach(np.array([counts]), names, options)
    assert check_classes_reach(np.array([counts]), names, replace(options, rates=TargetRates(0.5, 1 / 31))) == []


def test_a_long_list_of_classes_is_cut() -> None:
    names = tuple(f"class_{i}" for i in range(9))
    (warning,) = check_classes_reach(np.array([[2] * 8 + [500]]), names, _options(prior=0.0))
    assert "class_4 (2) and 3 more" in warning
    assert "class_5" not in warning
