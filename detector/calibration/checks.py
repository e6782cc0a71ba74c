"""Does the data fit the classifier and the thresholds? Refused or warned about in words a user can act on."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from detector.calibration.split import fit_count
from detector.conformal import smallest_p_value, smallest_p_values
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
    calibrating = images - fit_count(images, options.fit_fraction)
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
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    _refuse_disagreement(confusion, names, accuracy)
    warnings = check_classes(labels, names) + _swapped_classes(confusion, names)
    if accuracy >= _PERFECT and len(labels) >= _PERFECT_IMAGES:
        warnings.append(
            f"accuracy is {accuracy:.2%} on {len(labels)} images: are these the images the classifier was trained on? "
            "Thresholds from training images raise false alarms on new ones; calibrate on held-out images"
        )
    return warnings


def check_classes_reach(counts: NDArray[np.int64], names: Sequence[str], options: CalibrationOptions) -> list[str]:
    """Warn of classes whose p-values can't reach the smaller target rate.

    Args:
        counts: int64 (strata, classes), calibration images by stratum of difficulty and predicted class.
        names: One per class.
        options: Target rates and prior strength.
    """
    # A class without images in a stratum has its pooled p-value, which whoever draws the strata sees to.
    reach = smallest_p_values(counts, options.prior_strength) <= options.rates.adversarial
    short = np.argwhere((counts > 0) & ~reach)
    if not len(short):
        return []
    totals = counts.sum(axis=1)
    needed = max(_enough(int(counts[row, at]), int(totals[row] - counts[row, at]), options) for row, at in short)
    listed = _listed([_cell(names[at], int(counts[row, at]), row, len(counts)) for row, at in short])
    message = (
        f"no image predicted as {listed} can be judged ADVERSARIAL: such a class needs about {needed} "
        f"calibration images for a rate of {options.rates.adversarial:.2%} (in brackets: what it has); give more "
        f"images of it{', draw fewer strata' if len(counts) > 1 else ''} or raise --adversarial-rate"
    )
    return [message]


def _cell(name: str, images: int, stratum: int, strata: int) -> str:
    where = f", in stratum {stratum + 1} of {strata} from the easiest" if strata > 1 else ""
    return f"{name} ({images}{where})"


def _enough(count: int, others: int, options: CalibrationOptions) -> int:
    """How many calibration images a class that has too few needs, beside those of the other classes."""
    prior, rate = options.prior_strength, options.rates.adversarial
    plenty = math.ceil((1 + prior) / rate)  # the smallest p-value is below (1 + prior) / images
    # Beyond a class that is short, the smallest p-value falls as images are added.
    return bisect_left(
        range(plenty), x=True, lo=count, key=lambda images: smallest_p_value(images, others + images, prior) <= rate
    )


def _swapped_classes(confusion: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """Warn of classes most of whose images are predicted as one other class."""
    images, answers = confusion.sum(axis=1), confusion.argmax(axis=1)
    swapped = [
        f"'{names[row]}' as '{names[answer]}'"
        for row, answer in enumerate(answers)
        if row != answer and 2 * confusion[row, answer] > images[row]
    ]
    if not swapped:
        return []
    return [f"most images of some classes are predicted as another: {_listed(swapped)}; are their labels right?"]


def _refuse_disagreement(confusion: NDArray[np.int64], names: Sequence[str], accuracy: float) -> None:
    images = confusion.sum()
    present = np.count_nonzero(confusion.sum(axis=1))
    rows, columns = linear_sum_assignment(-confusion)
    permuted = confusion[rows, columns].sum() / images
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
            f"accuracy is {accuracy:.1%} on {images} images of {present} classes, which is chance: check "
            "--layout, --channel-order, --value-range, --mean and --std against how the classifier was trained"
        )


def _listed(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
