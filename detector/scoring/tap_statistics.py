"""What is usual of a classifier's taps: the units in which its layers are measured, and where its classes lie."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

MAX_LAYERS: Final = 64
MAX_NUMBERS: Final = 1 << 16
"""Most numbers that taps give per image, of all layers together."""
LEAST_IMAGES: Final = 10
"""Images a class needs for a centre of its own. With fewer, each of them would lie at it for being one of them."""
_ROUNDING = 1e-6  # of a number's size: it does not vary where it varies by less
_LEAST_SPREAD = 0.05  # of the median spread of its layer: a number that hardly varies is not to outweigh all others


@dataclass(frozen=True, eq=False)
class TapStatistics:
    """Statistics of the taps at benign images.

    Args:
        sizes: Numbers that each tapped layer gives, in the order of the taps; each at least 1.
        mean: float32 (numbers,), numbers being the sum of `sizes`.
        inverse_scale: float32 (numbers,), >= 0: 1 / standard deviation; 0 for a number that does not vary, which so
            has no part in anything.
        centres: float32 (classes, numbers): the mean standardised taps of the images predicted as each class; 0, where
            the mean of all images is, for a class of fewer than `LEAST_IMAGES`.

    Raises:
        CalibrationError: Not so; names the array.
    """

    sizes: tuple[int, ...]
    mean: Float32Array
    inverse_scale: Float32Array
    centres: Float32Array

    def __post_init__(self) -> None:
        if not 1 <= len(self.sizes) <= MAX_LAYERS or min(self.sizes) < 1:
            raise CalibrationError(f"array 'sizes' must hold 1 to {MAX_LAYERS} whole numbers from 1, not {self.sizes}")
        numbers = sum(self.sizes)
        if numbers > MAX_NUMBERS:
            raise CalibrationError(f"array 'sizes' must come to at most {MAX_NUMBERS} numbers, not {numbers}")
        shapes = {"mean": (numbers,), "inverse_scale": (numbers,), "centres": (len(self.centres), numbers)}
        for name, shape in shapes.items():
            array: Float32Array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
                raise CalibrationError(
                    f"array '{name}' must be finite float32 of shape {shape}, not {array.dtype} {array.shape}"
                )
        if (self.inverse_scale < 0).any():
            raise CalibrationError("array 'inverse_scale' must not be negative")

    @property
    def numbers(self) -> int:
        """What the taps give per image."""
        return len(self.mean)

    @property
    def layers(self) -> tuple[slice, ...]:
        """Which of the numbers are of each layer."""
        ends = np.cumsum(self.sizes).tolist()
        return tuple(slice(begin, end) for begin, end in itertools.pairwise([0, *ends]))

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """float64 (numbers,): 1 / sqrt(size of its layer), by which a layer's length becomes a root mean square."""
        return np.repeat(np.asarray(self.sizes, np.float64) ** -0.5, self.sizes)

    @cached_property
    def units(self) -> NDArray[np.float64]:
        """float64 (numbers,): what makes of a tap less its mean a part of a root mean square."""
        return self.inverse_scale * self.shares

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """float64 (classes, numbers): the centres in the same units."""
        return self.centres * self.shares


def tap_statistics(
    taps: Float32Array, predicted: NDArray[np.int64], *, classes: int, sizes: Sequence[int]
) -> TapStatistics:
    """Take the statistics of benign images.

    Args:
        taps: float32 (N, numbers), N >= 1, at the images themselves.
        predicted: int64 (N,), the predicted classes.
        classes: How many there are.
        sizes: Numbers of each tapped layer.

    Raises:
        CalibrationError: No image, or taps of other sizes.
    """
    if not len(taps) or taps.shape[1] != sum(sizes):
        raise CalibrationError(
            f"taps must give {sum(sizes)} numbers ({', '.join(map(str, sizes))} by layer) for one image at least, not "
            f"shape {taps.shape}"
        )
    exact = taps.astype(np.float64)
    mean, spread = exact.mean(axis=0), exact.std(axis=0)
    varies = spread > _ROUNDING * np.abs(exact).max(axis=0)
    floor = _LEAST_SPREAD * np.repeat(_medians(np.where(varies, spread, np.nan), sizes), sizes)
    inverse_scale = np.divide(1, np.fmax(spread, floor), out=np.zeros_like(spread), where=varies)
    standardised = (exact - mean) * inverse_scale
    centres = np.zeros((classes, len(mean)))
    for label in range(classes):
        rows = predicted == label
        if np.count_nonzero(rows) >= LEAST_IMAGES:
            centres[label] = standardised[rows].mean(axis=0)
    return TapStatistics(
        tuple(map(int, sizes)),
        mean.astype(np.float32),
        inverse_scale.astype(np.float32),
        centres.astype(np.float32),
    )


def _medians(values: NDArray[np.float64], sizes: Sequence[int]) -> list[float]:
    """Of the numbers of each layer that are some; NaN where there are none."""
    parts = (part[~np.isnan(part)] for part in np.split(values, np.cumsum(sizes)[:-1]))
    return [float(np.median(part)) if len(part) else np.nan for part in parts]
