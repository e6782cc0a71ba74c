"""How far single runs stray from what runs say on average of an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BAND: Final = (0.05, 0.95)
"""Quantiles of single runs between which the band lies."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Single runs beside their mean, over bins of examples from the easiest to the hardest.

    Args:
        mean: float64 (..., bins): the mean of all runs on all examples of a bin.
        low: float64 (..., bins): the 5 % quantile of single runs.
        high: The 95 % quantile.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """Of the band, the mean over bins: float64 (...), in the unit of the values."""
        return (self.high - self.low).mean(axis=-1)


def spread(values: NDArray[np.float64], bins: int) -> Spread:
    """Sort examples by their mean over runs, cut them into bins, and look at single runs within each.

    A bin holds examples and runs together, so its band is that of a single run of an example whose mean is known to a
    bin. The mean that sorts has the single runs in it: with few runs the band is too narrow.

    Args:
        values: float64 (runs, ..., examples); such as percentiles, which make scores comparable.
        bins: As many examples in each, to one; fewer where there are fewer examples.

    Raises:
        AnalysisError: There is no bin.
    """
    if bins < 1:
        raise AnalysisError(f"difficulty: bins must be at least 1, not {bins}")
    order = np.argsort(values.mean(axis=0), axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order[None], axis=-1)
    parts = np.array_split(ordered, min(bins, values.shape[-1]), axis=-1)
    low, high = np.array([np.quantile(part, BAND, axis=(0, -1)) for part in parts]).transpose(1, *_behind(values), 0)
    mean = np.stack([part.mean(axis=(0, -1)) for part in parts], axis=-1)
    return Spread(mean, low, high)


def _behind(values: NDArray[np.float64]) -> tuple[int, ...]:
    """Axes of quantiles (bins, 2, ...) that are neither bins nor quantiles."""
    return tuple(range(2, values.ndim))
