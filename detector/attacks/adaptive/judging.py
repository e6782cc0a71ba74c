"""How far an attack has come on an image, in one number; and when it need go no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

WON = 0.45
"""A badness below which nothing is left to win: the p-value is above 0.55, so the image passes at a false-positive rate
of a half, with something to spare for what float32 rounds differently elsewhere."""
_RIGHT = 2.0
_TIE = 1e-6


def badness(
    logits: Float32Array, labels: NDArray[np.int64], scores: Float32Array, p_values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What an attacker wants low.

    Args:
        logits: float32 (N, classes), the classifier's answers.
        labels: int64 (N,), classes to leave.
        scores: float32 (N,), the guard's.
        p_values: float64 (N,), the guard's.

    Returns:
        float64 (N,). Where the class is wrong, in [0, 1]: one minus the p-value, ties broken by the score. Where it is
        right, in [2, 3): it rises with the label's margin.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, axis=1)
    lead = np.maximum((own - others.max(axis=1)).astype(np.float64), 0)
    suspicion = (1 - p_values + _TIE * scores / (1 + scores)) / (1 + _TIE)
    return np.where(logits.argmax(axis=1) == labels, _RIGHT + lead / (1 + lead), suspicion)
