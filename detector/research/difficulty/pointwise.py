"""What one checkpoint says of every example, from its logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr, log_softmax

from detector.errors import AnalysisError
from detector.research.difficulty.kinds import POINTWISE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLASSES = 2


def pointwise(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The raw scores of `POINTWISE`, in its order.

    Args:
        logits: (N, classes), finite, at least two classes.
        labels: (N,), in 0..classes - 1.

    Returns:
        float64 (scores, N), finite; they point as their formulas do.

    Raises:
        AnalysisError: Logits are not finite, of one class, or of other examples than the labels.
    """
    if logits.ndim != 2 or logits.shape[1] < _CLASSES or labels.shape != logits.shape[:1]:  # noqa: PLR2004 - axes
        raise AnalysisError(
            f"difficulty: logits (N, classes) of two classes or more and a label for each of N are expected, not "
            f"{logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise AnalysisError("difficulty: a network puts out what is no finite number; lower the learning rate")
    logs = log_softmax(logits.astype(np.float64), axis=1)
    shares = np.exp(logs)
    rows = np.arange(len(labels))
    own = shares[rows, labels]
    others = shares.copy()
    others[rows, labels] = -np.inf
    residuals = shares.copy()
    residuals[rows, labels] -= 1
    found = {
        "acc": (logits.argmax(1) == labels).astype(np.float64),
        "ent": entr(shares).sum(1),
        "conf": own,
        "maxconf": shares.max(1),
        "margin": own - others.max(1),
        "el2n": np.linalg.norm(residuals, axis=1),
        "loss": -logs[rows, labels],
    }
    return np.stack([found[kind.name] for kind in POINTWISE])
