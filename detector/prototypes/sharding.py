"""Synthesis in shards: each optimises one batch of prototypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.errors import GradientsUnavailableError
from detector.prototypes.synthesis import PrototypeBatches, optimised
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.progress import Advance
    from detector.prototypes.options import SynthesisOptions
    from detector.prototypes.synthesis import PrototypeBatch
    from detector.shards.base import Models
    from detector.shards.stages import Arrays


def synthesis_job(
    classifier: TorchClassifier, options: SynthesisOptions, class_means: Float32Array | None = None
) -> Job:
    """Prototypes of all classes, class by class: `images` (classes * per_class, channels, height, width).

    Args:
        classifier: Differentiable; the shards use that of their own process.
        options: How; `options.batch` prototypes are a shard.
        class_means: As for `PrototypeBatches`.

    Raises:
        CalibrationError: Class means are wanted and missing.
    """
    batches = PrototypeBatches(classifier.spec, len(classifier.labels), options, class_means)
    cut = tuple(Shard(i, slice(i * options.batch, (i + 1) * options.batch), options.steps) for i in range(len(batches)))
    return Job("Synthesising prototypes", _synthesise, options, lambda shard: batches.batch(shard.number), cut)


def _synthesise(models: Models, options: SynthesisOptions, batch: PrototypeBatch, advance: Advance) -> Arrays:
    if models.gradients is None:
        raise GradientsUnavailableError("prototypes can't be made without gradients")
    images, _ = optimised(models.gradients, batch, options, advance)
    return {"images": images}
