"""Medoids: real images in the place of prototypes, where a classifier has no gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array


def medoids(
    logits: Float32Array, predicted: NDArray[np.int64], per_class: int, labels: Sequence[str]
) -> NDArray[np.int64]:
    """The images of each class that are nearest to the class's mean in logits.

    Args:
        logits: float32 (N, classes), the classifier's answers to real images.
        predicted: int64 (N,), their predicted classes.
        per_class: How many of each class.
        labels: One name per class.

    Returns:
        int64 (classes, per_class): rows of `logits`, the nearest first.

    Raises:
        CalibrationError: A class has fewer predicted images than `per_class`.
    """
    return np.stack([_of_class(logits, predicted, c, per_class, name) for c, name in enumerate(labels)])


def _of_class(
    logits: Float32Array, predicted: NDArray[np.int64], label: int, per_class: int, name: str
) -> NDArray[np.int64]:
    rows = np.flatnonzero(predicted == label)
    if len(rows) < per_class:
        raise CalibrationError(
            f"class '{name}': only {len(rows)} images are predicted as it, {per_class} are needed as prototypes "
            "(there are no gradients to make any); add images of this class or pass --gradients"
        )
    distances = np.linalg.norm(logits[rows] - logits[rows].mean(axis=0), axis=1)
    return rows[np.argsort(distances, kind="stable")[:per_class]]
