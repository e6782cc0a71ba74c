"""Arrays as bytes: safetensors, the one form in which this project keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def to_safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as a safetensors file.

    The library writes the underlying memory as it lies, so views are made contiguous first.
    """
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})
