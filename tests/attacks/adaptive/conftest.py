"""What the adaptive attacks' tests attack: guards of the digits classifier with views and taps, and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.adaptive.guard import DifferentiableGuard, differentiable_guard
from tests.support.bundles import calibration_images, digits_onnx
from tests.support.guards import CALIBRATED, WHOLE, guarded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.detector import Detector
    from detector.embedded import EmbeddedDefault

_OWN = 100
_ATTACKED = 16


@pytest.fixture(scope="package")
def one_class(digits: EmbeddedDefault, digits_bundle: Path) -> Detector:
    """With views and taps; its scorer is a Mahalanobis distance."""
    return guarded(digits, digits_bundle, WHOLE)


@pytest.fixture(scope="package")
def trees(digits: EmbeddedDefault, digits_bundle: Path) -> Detector:
    """With views and taps; its scorer is boosted trees, which know PGD."""
    return guarded(digits, digits_bundle, WHOLE, supervised=True)


@pytest.fixture(scope="package")
def own_images(digits: EmbeddedDefault) -> Float32Array:
    """The attacker's own benign images."""
    return calibration_images(digits)[0][CALIBRATED : CALIBRATED + _OWN]


@pytest.fixture(scope="package")
def attacked(digits: EmbeddedDefault) -> tuple[Float32Array, NDArray[np.int64]]:
    """Images to attack, which neither guard nor attacker has seen and the classifier gets right; their labels."""
    images, labels = calibration_images(digits)
    images, labels = images[CALIBRATED + _OWN :], labels[CALIBRATED + _OWN :]
    right = np.flatnonzero(digits_onnx(digits).logits(images).argmax(1) == labels)[:_ATTACKED]
    return images[right], labels[right]


@pytest.fixture(scope="package")
def guard(one_class: Detector, own_images: Float32Array) -> DifferentiableGuard:
    return differentiable_guard(one_class, own_images, budgets=(0.1, 0.3))


@pytest.fixture(scope="package")
def tree_guard(trees: Detector, own_images: Float32Array) -> DifferentiableGuard:
    return differentiable_guard(trees, own_images, budgets=(0.05, 0.1, 0.2, 0.3))
