"""Numbers of studies as programs read them: JSON has neither arrays nor NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.metrics import mean_estimate

if TYPE_CHECKING:
    from detector.metrics import Estimate
    from detector.research.representation.spaces.base import Array


def plain(values: Array) -> Any:
    """An array as lists, what is not finite as None."""
    if values.ndim:
        return [plain(np.asarray(value)) for value in values]
    return float(values) if np.isfinite(values) else None


def over_seeds(values: Array) -> list[Estimate]:
    """The mean over the first axis of (seeds, n), with its interval, for each of n."""
    return [mean_estimate(column) for column in values.T]
