"""Classifiers given by a formula, whose answers can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.base import Answers, ChannelOrder, ImageSpec, OutputKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array

ONE_PIXEL = ImageSpec(height=1, width=1, channel_order=ChannelOrder.GRAY)


class FormulaClassifier:
    """Implements `detector.classifiers.base.Classifier`, and counts what it is asked.

    Args:
        formula: Canonical images to logits (N, classes).
        classes: How many.
        spec: Images taken.

    Attributes:
        asked: Images classified so far.
        largest: Most of them in one call.
    """

    output_kind = OutputKind.LOGITS
    description = "a formula"
    tap_count = 0

    def __init__(
        self, formula: Callable[[Float32Array], Float32Array], classes: int, spec: ImageSpec = ONE_PIXEL
    ) -> None:
        self._formula = formula
        self.spec = spec
        self.labels = tuple(f"class_{c}" for c in range(classes))
        self.asked = 0
        self.largest = 0

    def answers(self, images: Float32Array) -> Answers:
        """Logits, and no taps."""
        return Answers(self.logits(images), np.empty((len(images), 0), np.float32))

    def logits(self, images: Float32Array) -> Float32Array:
        """Logits (N, classes) of canonical images."""
        self.asked += len(images)
        self.largest = max(self.largest, len(images))
        return np.asarray(self._formula(images), np.float32)


def two_classes(against: Callable[[Float32Array], Float32Array]) -> FormulaClassifier:
    """Logits (0, against(pixel)) of one-pixel images, so that class 0's loss is ``log(1 + exp(against(pixel)))``."""

    def formula(images: Float32Array) -> Float32Array:
        values = against(images[:, 0, 0, 0])
        return np.stack([np.zeros_like(values), values], axis=1)

    return FormulaClassifier(formula, 2)


def one_pixel(*values: float) -> Float32Array:
    """One-pixel images, float32 (N, 1, 1, 1)."""
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def bump(pixels: Float32Array) -> Float32Array:
    """For `two_classes`: class 0's margin is lost halfway between 0 and 1, 3 against it; 1 for it at both ends."""
    return 16 * pixels * (1 - pixels) - 1
