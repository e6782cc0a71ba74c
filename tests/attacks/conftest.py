"""What the attacks' tests attack: the embedded classifier of digits, on images it gets right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.surrogate import SurrogateOptions, train_surrogate
from detector.attacks.target import AttackTarget
from tests.support.bundles import calibration_images, digits_torch

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

_ATTACKED = 24


@pytest.fixture(scope="package")
def classifier(digits: EmbeddedDefault) -> TorchClassifier:
    return digits_torch(digits)


@pytest.fixture(scope="package")
def surrogate(digits: EmbeddedDefault) -> TorchClassifier:
    """Trained on half of the calibration images, the later ones."""
    images, labels = calibration_images(digits)
    return train_surrogate(images[450:], labels[450:], 10, SurrogateOptions(steps=150, batch=64, flips=False))


@pytest.fixture(scope="package")
def target(digits: EmbeddedDefault, classifier: TorchClassifier, surrogate: TorchClassifier) -> AttackTarget:
    """Images the classifier gets right, which the surrogate has not seen, and their labels."""
    images, labels = calibration_images(digits)
    right = np.flatnonzero(classifier.logits(images[:450]).argmax(axis=1) == labels[:450])[:_ATTACKED]
    return AttackTarget(classifier, images[right], labels[right], surrogate)
