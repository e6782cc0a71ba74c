"""Prototypes made here and now, batch by batch, as shards make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.paths.straight import Prototypes
from detector.prototypes.synthesis import PrototypeBatches, optimised

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.prototypes.options import SynthesisOptions


def synthesise(
    classifier: TorchClassifier,
    options: SynthesisOptions,
    *,
    class_means: Float32Array | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Prototypes:
    """Make prototypes of every class.

    Args:
        classifier: Differentiable.
        options: How.
        class_means: float32 (classes, channels, height, width), for `PrototypeStart.CLASS_MEAN`.
        on_progress: Told the number of Adam steps done since it was told last, per prototype batch.

    Returns:
        The prototypes, with their losses.

    Raises:
        CalibrationError: Class means are wanted and missing.
        GradientsUnavailableError: The classifier has no gradient.
    """
    batches = PrototypeBatches(classifier.spec, len(classifier.labels), options, class_means)
    parts = [optimised(classifier, batches.batch(i), options, on_progress) for i in range(len(batches))]
    images, losses = (np.concatenate(each) for each in zip(*parts, strict=True))
    shape = (len(classifier.labels), options.per_class)
    return Prototypes(images.reshape(*shape, *classifier.spec.shape), losses.reshape(shape))
