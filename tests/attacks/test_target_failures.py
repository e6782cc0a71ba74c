from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detector.attacks.surrogate import train_surrogate
from detector.attacks.target import AttackTarget
from detector.classifiers.base import ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import InvalidInputError
from tests.support.tiny import TINY_SPEC, TinyNet, tiny_torch

IMAGES = np.full((3, *TINY_SPEC.shape), 0.5, np.float32)
LABELS = np.array([0, 1, 2])


class _SmallNet(TinyNet):
    """For images a pixel wider, which its last layer does not notice."""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES.astype(np.float64)}, r"images: float32 \(N, 3, 12, 10\) expected, not float64"),
        ({"images": IMAGES.transpose(0, 2, 3, 1)}, r"images: .*\(3, 12, 10, 3\)"),
        ({"images": IMAGES[0]}, r"images: .*\(3, 12, 10\)"),
        ({"labels": LABELS[:2]}, r"labels: one for each of 3 images"),
        ({"labels": LABELS[:, None]}, r"labels: one for each of 3 images"),
        (
            {"surrogate": TorchClassifier(_SmallNet(), ImageSpec(height=11, width=10))},
            r"surrogate: takes images \(3, 11, 10\)",
        ),
    ],
)
def test_a_target_that_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    target = AttackTarget(tiny_torch(), IMAGES, LABELS, tiny_torch(1))
    with pytest.raises(InvalidInputError, match=message):
        replace(target, **changes)


@pytest.mark.parametrize(
    ("images", "labels"),
    [(IMAGES[:0], LABELS[:0]), (IMAGES, LABELS[:2]), (IMAGES, LABELS - 1), (IMAGES, LABELS + 1)],
)
def test_a_surrogate_is_not_trained_on_labels_that_do_not_fit(images: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match=r"labels: one of 0\.\.2 expected for each of"):
        train_surrogate(images, labels, 3)
