"""Does the data fit the classifier and the thresholds? Refused or warned about in words a user can act on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from detector.calibration.conformal import smallest_p_value
from detector.data.alignment import check_classes
from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.calibration.options import CalibrationOptions

_PERFECT = 0.9995
_PERFECT_IMAGES = 500
_NEAR_CHANCE = 1.5
_CLEARLY_BETTER = 2.0


def smallest_calibration(options: CalibrationOptions) -> int:
    """The fewest calibration images with which a p-value can reach the smaller target rate."""
    return math.ceil(1 / options.rates.adversarial) - 1


def check_amount(images: int, options: CalibrationOptions) -> None:
    """Refuse too few images for the thresholds.

    Raises:
        CalibrationError: With the number that would do.
    """
    needed = smallest_calibration(options)
    calibrating = images - round(images * options.fit_fraction)
    if calibrating < needed:
        total = math.ceil(needed / (1 - options.fit_fraction))
        raise CalibrationError(
            f"{images} images leave {calibrating} for calibration, but a false-positive rate of "
            f"{options.rates.adversarial:.2%} needs {needed}: give at least {total} images or raise --adversarial-rate"
        )


def check_labels(predicted: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """Compare the classifier's answers with the data's labels.

    Args:
        predicted: int64 (N,).
        labels: int64 (N,), aligned with the classifier's classes.
        names: One per class.

    Returns:
        Warnings.

    Raises:
        CalibrationError: They disagree so much that labels or preprocessing must be wrong.
    """
    accuracy = float((predicted == labels).mean())
    _refuse_disagreement(predicted, labels, names, accuracy)
    warnings = check_classes(labels, names)
    if accuracy >= _PERFECT and len(labels) >= _PERFECT_IMAGES:
        warnings.append(
            f"accuracy is {accuracy:.2%} on {len(labels)} images: are these the images the classifier was trained on? "
            "Thresholds from training images raise false alarms on new ones; calibrate on held-out images"
        )
    return warnings


def check_classes_reach(per_class: Sequence[int], names: Sequence[str], options: CalibrationOptions) -> list[str]:
    """Warn of classes whose p-values can't reach the smaller target rate.

    Args:
        per_class: Calibration images by predicted class.
        names: One per class.
        options: Target rates and prior strength.
    """
    total, prior = sum(per_class), options.prior_strength
    # A class without images has the pooled p-value, which check_amount has seen to.
    short = [
        f"{name} ({count})"
        for name, count in zip(names, per_class, strict=True)
        if count and smallest_p_value(count, total, prior) > options.rates.adversarial
    ]
    if not short:
        return []
    needed = math.ceil((1 + prior / (total + 1)) / options.rates.adversarial - 1 - prior)
    message = (
        f"no image predicted as {_listed(short)} can be judged ADVERSARIAL: such a class needs about {needed} "
        f"calibration images for a rate of {options.rates.adversarial:.2%} (in brackets: what it has); give more "
        "images of it or raise --adversarial-rate"
    )
    return [message]


def _refuse_disagreement(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str], accuracy: float
) -> None:
    present = max(len(np.unique(labels)), 1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    rows, columns = linear_sum_assignment(-confusion)
    permuted = confusion[rows, columns].sum() / len(labels)
    if permuted > _CLEARLY_BETTER * accuracy and permuted > _NEAR_CHANCE / present:
        swapped = [
            f"'{names[r]}' is predicted as '{names[c]}'"
            for r, c in zip(rows, columns, strict=True)
            if r != c and confusion[r, c]
        ]
        raise CalibrationError(
            f"the data's labels disagree with the classifier's: accuracy is {accuracy:.1%}, but would be "
            f"{permuted:.1%} with the classes renamed ({_listed(swapped)}). Pass --labels with the names in the "
            "classifier's output order, or rename the class folders"
        )
    if present > 1 and accuracy < _NEAR_CHANCE / present:
        raise CalibrationError(
            f"accuracy is {accuracy:.1%} on {len(labels)} images of {present} classes, which is chance: check "
            "--layout, --channel-order, --value-range, --mean and --std against how the classifier was trained"
        )


def _listed(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
