from __future__ import annotations

import re

import numpy as np
import pytest

from detector.calibration.checks import check_amount, check_labels
from detector.calibration.options import CalibrationOptions
from detector.errors import CalibrationError
from detector.verdicts import TargetRates

NAMES = ("airplane", "bird", "cat", "dog")
LABELS = np.repeat(np.arange(4), 50)


@pytest.mark.parametrize("images", [0, 1, 50, 160])
@pytest.mark.parametrize(("rate", "fit_fraction"), [(0.01, 0.4), (0.003, 0.37), (0.02, 0.75)])
def test_too_few_images_are_refused_with_the_number_that_would_do(
    images: int, rate: float, fit_fraction: float
) -> None:
    options = CalibrationOptions(rates=TargetRates(0.05, rate), fit_fraction=fit_fraction)
    with pytest.raises(CalibrationError, match=rf"^{images} images leave .*--adversarial-rate") as refused:
        check_amount(images, options)
    needed = int(re.findall(r"at least (\d+) images", str(refused.value))[0])
    check_amount(needed, options)
    with pytest.raises(CalibrationError):
        check_amount(needed - 2, options)


def test_renamed_classes_are_refused_by_name() -> None:
    predicted = np.array([1, 2, 0, 3])[LABELS]
    with pytest.raises(CalibrationError) as refused:
        check_labels(predicted, LABELS, NAMES)
    message = str(refused.value)
    assert "accuracy is 25.0%, but would be 100.0% with the classes renamed" in message
    for label, answer in (("airplane", "bird"), ("bird", "cat"), ("cat", "airplane")):
        assert f"'{label}' is predicted as '{answer}'" in message
    assert "'dog'" not in message
    assert "--labels" in message


def test_labels_off_by_one_are_refused() -> None:
    with pytest.raises(CalibrationError, match="with the classes renamed"):
        check_labels((LABELS + 1) % 4, LABELS, NAMES)


@pytest.mark.parametrize("kind", ["random", "always the same class"])
def test_chance_accuracy_is_refused_with_what_to_check(kind: str) -> None:
    predicted = np.zeros_like(LABELS)
    if kind == "random":
        predicted = np.random.default_rng(0).integers(0, 4, len(LABELS))
    with pytest.raises(CalibrationError, match=r"200 images of 4 classes, which is chance: check --layout"):
        check_labels(predicted, LABELS, NAMES)
