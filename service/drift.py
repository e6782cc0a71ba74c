"""Whether p-values still are what calibration promised: uniform, on benign traffic like the calibration images."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Fewer p-values than this say nothing.
LEAST_P_VALUES: Final = 100


class DriftWindow:
    """The last p-values, compared with the uniform distribution. Safe to use from several threads.

    Args:
        size: p-values that are kept, at least `LEAST_P_VALUES`.
        calibration_images: Benign scores that the p-values rest on; 0 for p-values that are exact.
    """

    def __init__(self, size: int, calibration_images: int) -> None:
        self._kept = np.empty(size)
        self._calibration_images = calibration_images
        self._seen = 0
        self._lock = threading.Lock()

    def add(self, p_values: NDArray[np.float64]) -> None:
        """The newest p-values, float64 (N,), 0..1."""
        size = len(self._kept)
        newest = p_values[-size:]
        with self._lock:
            start = (self._seen + len(p_values) - len(newest)) % size
            until_end = min(len(newest), size - start)
            self._kept[start : start + until_end] = newest[:until_end]
            self._kept[: len(newest) - until_end] = newest[until_end:]
            self._seen += len(p_values)

    def __len__(self) -> int:
        return min(self._seen, len(self._kept))

    def statistic(self) -> float:
        """How far the p-values are from uniform; NaN for fewer than `LEAST_P_VALUES`.

        The Kolmogorov-Smirnov distance times sqrt(n m / (n + m)), for n p-values and m calibration images: the p-values
        are ranks among m scores, so this is the test that compares two samples. Where both are benign it passes 1.63
        once in a hundred windows and 1.95 once in a thousand, whatever n and m (Kolmogorov's limit distribution).
        """
        with self._lock:
            known = np.sort(self._kept[: len(self)])
        count = len(known)
        if count < LEAST_P_VALUES:
            return math.nan
        above = np.arange(1, count + 1) / count - known
        distance = max(above.max(), (1 / count - above).max())
        calibration = self._calibration_images or math.inf
        return float(distance * math.sqrt(count / (1 + count / calibration)))
