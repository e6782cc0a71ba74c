"""What every space asks of activations, and takes from them first: their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array

FEWEST_INPUTS = 4
"""A masked kernel's bias has m - 3 for divisor; with fewer inputs all representations are nearly alike."""
MOST_INPUTS = 10_000
"""Their kernel matrix takes 800 MB."""
_LARGEST = 1e100  # squares, and squares of sums, stay finite
_SMALLEST = 1e-100
_ROUNDING = 64 * float(np.finfo(np.float64).eps)
_AXES = 2


def centred(space: str, activations: Array) -> Array:
    """Activations less their mean over the inputs.

    Args:
        space: What errors call the space that asks.
        activations: Real numbers (inputs, units).

    Returns:
        float64 (inputs, units), a copy.

    Raises:
        AnalysisError: Of another shape; fewer than `FEWEST_INPUTS` or more than `MOST_INPUTS`; no units; not finite, or
            larger than 1e100; or the same for every input, as far as float64 can tell: no direction is theirs.
    """
    values = np.asarray(activations)
    if values.ndim != _AXES or not values.size or values.dtype.kind not in "biuf":
        raise AnalysisError(
            f"{space}: activations are real numbers (inputs, units), not {values.dtype} of shape {values.shape}"
        )
    inputs = len(values)
    if not FEWEST_INPUTS <= inputs <= MOST_INPUTS:
        raise AnalysisError(f"{space}: activations of {inputs} inputs; {FEWEST_INPUTS} to {MOST_INPUTS} make a point")
    values = values.astype(np.float64)
    peak = float(np.abs(values).max())
    if not peak <= _LARGEST:
        raise AnalysisError(f"{space}: activations are not finite, or larger than {_LARGEST:g}")
    values -= values.mean(0)
    spread = float(np.abs(values).max())
    if spread <= max(_ROUNDING * peak, _SMALLEST):
        raise AnalysisError(f"{space}: activations are the same for every input; such a layer is no point")
    return values
