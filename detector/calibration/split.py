"""Which images fit the scorer, and which calibrate its p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Split:
    """Disjoint rows, shuffled.

    Args:
        fit: int64, for the scorer (and class means, and images to attack).
        calibration: int64, for the p-values.
    """

    fit: NDArray[np.int64]
    calibration: NDArray[np.int64]


def split_images(classes: NDArray[np.int64], fit_fraction: float, seed: int) -> Split:
    """Split rows at random, each class in the same proportion to within an image, and all together as `fit_count` says.

    Args:
        classes: int64 (N,), the class of each row.
        fit_fraction: Share that goes to `fit`, between 0 and 1.
        seed: Of the shuffle.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(classes))
    by_class = order[np.argsort(classes[order], kind="stable")]
    # Rounding each class by itself would add up: many small classes could leave too few rows for calibration.
    due = np.rint(np.arange(len(classes) + 1) * fit_fraction)
    fits = np.zeros(len(classes), bool)
    fits[by_class[np.diff(due) > 0]] = True
    return Split(order[fits[order]], order[~fits[order]])


def fit_count(images: int, fit_fraction: float) -> int:
    """How many of `images` go to `fit`."""
    return round(images * fit_fraction)
