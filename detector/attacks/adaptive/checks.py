"""What every attack on a guard checks before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array


def check_attack(images: Float32Array, labels: NDArray[np.int64], *, budget: float, **counts: int) -> None:
    """Refuse what can't be run.

    Args:
        images: float32 (N, channels, height, width).
        labels: int64 (N,).
        budget: Linf, to lie in (0, 1].
        counts: To be at least 1 each.

    Raises:
        InvalidInputError: One of these is not so; the message names it.
    """
    if not 0 < budget <= 1:
        raise InvalidInputError(f"must lie in (0, 1], not {budget}", field="budget")
    for name, count in counts.items():
        if count < 1:
            raise InvalidInputError(f"must be at least 1, not {count}", field=name)
    if labels.shape != images.shape[:1]:
        raise InvalidInputError(f"one for each of {len(images)} images expected, not {labels.shape}", field="labels")
