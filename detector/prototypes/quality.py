"""How good prototypes are: their loss as the deployed classifier sees them, and how rough they look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.descent import mean_variation
from detector.profiles import path_losses

if TYPE_CHECKING:
    from detector.classifiers.base import Classifier, Float32Array


def prototype_losses(classifier: Classifier, images: Float32Array) -> Float32Array:
    """Cross-entropy of each class at its prototypes.

    Args:
        classifier: The one whose paths will end there.
        images: float32 (classes, per_class, channels, height, width), canonical.

    Returns:
        float32 (classes, per_class), nats, >= 0.
    """
    classes, per_class = images.shape[:2]
    logits = classifier.logits(images.reshape(-1, *images.shape[2:])).reshape(classes, per_class, 1, -1)
    return path_losses(logits, np.arange(classes))[:, :, 0]


def roughness(images: Float32Array) -> Float32Array:
    """Mean absolute difference of neighbouring pixels.

    Args:
        images: float32 (..., channels, height, width), canonical.

    Returns:
        float32 (...), in pixel units, 0 (flat) to 1.
    """
    each = mean_variation(torch.from_numpy(images.reshape(-1, *images.shape[-3:])))
    return each.numpy().reshape(images.shape[:-3])
