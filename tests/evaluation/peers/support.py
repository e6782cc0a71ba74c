"""Real material for peers: the digits classifier with its hidden layers, attacked, and its forwards counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.classifiers.loading import load_classifier, tapped
from detector.evaluation.peers.base import PeerData
from detector.images import to_canonical, to_pixels
from tests.support.formulas import FormulaClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Answers, Classifier, Float32Array
    from detector.classifiers.loading import LoadedClassifier
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

    Hidden = Callable[[Float32Array], tuple[Float32Array, ...]]


class Counted:
    """A classifier and its hidden layers that count the images they are asked about."""

    def __init__(self, loaded: LoadedClassifier) -> None:
        self._loaded = loaded
        self._classifier: Classifier = loaded.classifier
        self.spec, self.labels = self._classifier.spec, self._classifier.labels
        self.output_kind, self.description = self._classifier.output_kind, self._classifier.description
        self.tap_count = self._classifier.tap_count
        self.asked = 0
        self.largest = 0

    def answers(self, images: Float32Array) -> Answers:
        """The classifier's."""
        self._count(images)
        return self._classifier.answers(images)

    def logits(self, images: Float32Array) -> Float32Array:
        """The classifier's."""
        self._count(images)
        return self._classifier.logits(images)

    def hidden(self, images: Float32Array) -> tuple[Float32Array, ...]:
        """The hidden layers'."""
        self._count(images)
        return self._loaded.hidden(images)

    def _count(self, images: Float32Array) -> None:
        self.asked += len(images)
        self.largest = max(self.largest, len(images))


def digits_loaded(digits: EmbeddedDefault) -> LoadedClassifier:
    """The embedded classifier as an evaluation loads it, its hidden layers tapped."""
    return tapped(load_classifier(digits.classifier_file, threads=1), threads=1)


def gradient_signs(
    classifier: TorchClassifier, images: Float32Array, labels: NDArray[np.int64], levels: float, *, steps: int = 1
) -> Float32Array:
    """The (iterated) fast gradient sign method, rounded to whole levels."""
    radius, rate = levels / 255, levels / 255 * min(1.0, 2.5 / steps)
    attacked = images
    for _ in range(steps):
        pixels = torch.from_numpy(attacked).requires_grad_()
        loss = torch.nn.functional.cross_entropy(classifier.differentiable_logits(pixels), torch.from_numpy(labels))
        (gradient,) = torch.autograd.grad(loss, pixels)
        moved = attacked + np.float32(rate) * np.sign(gradient.numpy())
        attacked = np.clip(np.clip(moved, images - np.float32(radius), images + np.float32(radius)), 0, 1)
    return to_canonical(to_pixels(attacked), classifier.spec.shape)


def peer_data(
    classifier: Classifier,
    images: Float32Array,
    labels: NDArray[np.int64] | None = None,
    *,
    hidden: Hidden | None = None,
    attacked: Mapping[str, Float32Array] | None = None,
) -> PeerData:
    """`PeerData` of what a test cares about; the hidden layer is the image itself unless one is given."""
    return PeerData(
        classifier=classifier,
        gradients=None,
        hidden=hidden or pixels,
        images=images,
        labels=np.zeros(len(images), np.int64) if labels is None else labels,
        attacked=attacked or {},
        seed=0,
    )


def pixels(images: Float32Array) -> tuple[Float32Array, ...]:
    """One hidden layer, whose channels are the image's pixels."""
    return (images.reshape(len(images), -1),)


def points(values: NDArray[np.float64]) -> Float32Array:
    """Vectors (N, d) as images of d pixels in a row, (N, 1, 1, d)."""
    return values.astype(np.float32)[:, None, None, :]


def constant_classifier(classes: int = 2) -> FormulaClassifier:
    """Logits 0, 0, ... whatever the image."""
    return FormulaClassifier(lambda images: np.zeros((len(images), classes), np.float32), classes)
