"""Pairs of synthetic modes of a class, and what lies between them: where a network has modes at all, and how far apart.

The two optima of a pair differ by the noise they start from. The authors' differ by a weight on high frequencies too
(2.5e-7 for one, none for the other), which is left out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.paths.pairing import Pairs
from detector.prototypes.options import SynthesisOptions
from detector.prototypes.synthesis import PrototypeBatches, optimised

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_GREY = 0.5  # where the optimisation starts, but for faint noise
_PAIR = 2


@dataclass(frozen=True, kw_only=True)
class ModeOptions:
    """How pairs of modes are made.

    Args:
        pairs: Of each class.
        steps: Adam's, at most.
        learning_rate: Adam's, on pixels in [0, 1].
        target_loss: Optimisation stops once every mode's cross-entropy is below this, nats.
        within_box: Whether pixels stay in [0, 1]. The authors let them leave it, and within it an untrained network has
            no input of low loss.
        seed: Of the noise.

    Raises:
        AnalysisError: A value is out of range.
    """

    pairs: int = 2
    steps: int = 500
    learning_rate: float = 0.2
    target_loss: float = 5e-4
    within_box: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.pairs, self.steps) < 1 or not (self.learning_rate > 0 and self.target_loss > 0):
            raise AnalysisError("modes: pairs and steps must be at least 1, learning_rate and target_loss above 0")

    def of_classes(self, classes: int) -> SynthesisOptions:
        """The same, as synthesis takes it: all modes in one batch."""
        each = _PAIR * self.pairs
        return SynthesisOptions(
            per_class=each,
            learning_rate=self.learning_rate,
            steps=self.steps,
            target_loss=self.target_loss,
            batch=each * classes,
            within_box=self.within_box,
            seed=self.seed,
        )


@dataclass(frozen=True, eq=False)
class ModePairs(Pairs):
    """Pairs of synthetic modes, of their class both."""

    @property
    def cosines(self) -> Float32Array:
        """float32 (P,): of the angle between the two, seen from the grey that both started from."""
        starts, ends = (part.reshape(len(part), -1) - np.float32(_GREY) for part in (self.starts, self.ends))
        lengths = np.linalg.norm(starts, axis=1) * np.linalg.norm(ends, axis=1)
        cosines: Float32Array = (starts * ends).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
        return cosines

    @property
    def distances(self) -> Float32Array:
        """float32 (P,): Euclidean, between the two."""
        distances: Float32Array = np.linalg.norm((self.starts - self.ends).reshape(len(self.starts), -1), axis=1)
        return distances


def mode_pairs(
    classifier: TorchClassifier, options: ModeOptions, *, on_progress: Callable[[int], None] | None = None
) -> ModePairs:
    """Make pairs of modes of every class, class by class.

    Args:
        classifier: Differentiable.
        options: How.
        on_progress: Told of Adam's steps, `options.steps` in all.

    Raises:
        GradientsUnavailableError: The classifier has no gradient.
    """
    classes = len(classifier.labels)
    synthesis = options.of_classes(classes)
    batch = PrototypeBatches(classifier.spec, classes, synthesis).batch(0)
    images, _ = optimised(classifier, batch, synthesis, on_progress)
    return ModePairs(images[::2], images[1::2], batch.classes[::2])
