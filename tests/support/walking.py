"""Pairs of inputs and small classifiers between them whose barriers are known or soon computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from detector.classifiers.base import ImageSpec, OutputKind
from detector.classifiers.torch import TorchClassifier
from detector.images import to_canonical
from detector.paths.pairing import Pairs
from tests.support.bundles import digits_torch
from tests.support.tiny import TINY_CLASSES, TINY_SPEC

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.embedded import EmbeddedDefault

DOT_SPEC = ImageSpec(height=1, width=1)
"""Images of one pixel of three colours: points of a cube."""


class _Field(nn.Module):
    """Two classes, of which class 0 loses as a function of the point says."""

    def __init__(self, loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._loss = loss

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Cross-entropy of class 0 against class 1 is log(1 + exp(z)) for a difference z of logits.
        wanted = self._loss(images.flatten(1)).clamp_min(1e-3)
        return torch.stack([torch.zeros_like(wanted), wanted.expm1().log()], dim=1)


def field(loss: Callable[[torch.Tensor], torch.Tensor]) -> TorchClassifier:
    """A classifier of points of the cube, whose class 0 has a loss that is given, nats, at least 0.001.

    Args:
        loss: float32 (N, 3) to (N,).
    """
    return TorchClassifier(_Field(loss), DOT_SPEC, output_kind=OutputKind.LOGITS, name="field")


def points(*rows: tuple[float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Points of the cube as images: float32 (N, 3, 1, 1)."""
    return np.array(rows, np.float32)[:, :, None, None]


def random_pairs(count: int, seed: int = 0) -> Pairs:
    """Pairs of noise for `tiny_torch`, and classes."""
    rng = np.random.default_rng(seed)
    starts, ends = rng.random((2, count, *TINY_SPEC.shape), np.float32)
    return Pairs(starts, ends, rng.integers(0, TINY_CLASSES, count))


def digit_pairs(digits: EmbeddedDefault, count: int) -> tuple[TorchClassifier, Pairs]:
    """The classifier of digits, and pairs of test images of one class that it gets right."""
    classifier = digits_torch(digits)
    assert digits.test.labels is not None
    images, labels = to_canonical(digits.test.pixels, classifier.spec.shape), digits.test.labels
    right = classifier.logits(images).argmax(axis=1) == labels
    images, labels = images[right], labels[right]
    rows = [np.flatnonzero(labels == label) for label in range(10)]
    pairs = np.array([(one[2 * i], one[2 * i + 1]) for i in range(8) for one in rows if len(one) > 2 * i + 1])[:count]
    assert len(pairs) == count
    return classifier, Pairs(images[pairs[:, 0]], images[pairs[:, 1]], labels[pairs[:, 0]].astype(np.int64))
