"""Medoids: real images in the place of prototypes, where a classifier has no gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import CalibrationError
from detector.paths import Prototypes
from detector.prototypes.quality import prototype_losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array


def medoids(
    classifier: Classifier,
    images: Float32Array,
    predicted: NDArray[np.int64],
    per_class: int,
    *,
    labels: Sequence[str] | None = None,
) -> Prototypes:
    """Prototypes without gradients: each class's real images that are nearest to the class's mean in logits.

    Args:
        classifier: Any.
        images: float32 (N, channels, height, width), canonical.
        predicted: int64 (N,), their predicted classes.
        per_class: How many of each class.
        labels: The classes' names, for errors; None takes the classifier's.

    Raises:
        CalibrationError: A class has fewer predicted images than `per_class`.
    """
    logits = classifier.logits(images)
    names = labels or classifier.labels
    chosen = np.stack([_medoid_rows(logits, predicted, c, per_class, name) for c, name in enumerate(names)])
    return Prototypes(images[chosen], prototype_losses(classifier, images[chosen]))


def _medoid_rows(
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
