"""The path-loss paper's own attack: targeted, and without a bound (arXiv 2409.05800, its companion code).

Adam on the pixels minimises the cross-entropy of the target class plus 0.1 times the mean squared distance to the
image, until the target looks as likely as it does on a real image of its class. Unlike the paper's, pixels are clamped
to [0, 1], since a service takes nothing else; its penalty on high frequencies is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detector.descent import Measured, descend

if TYPE_CHECKING:
    from torch import Tensor

    from detector.attacks.target import Attack, AttackTarget, Int64Array
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_RATE = 0.005
_NEARNESS = 0.1
_LEAST_STEPS = 32  # the paper's statistics stop no earlier
_FEW = 5  # images of a class say less about it than all images do


def unconstrained_attack(classifier: TorchClassifier, typical: Float32Array, *, steps: int) -> Attack:
    """Make the attack ready: it stops where a typical real image of the goal is.

    Args:
        classifier: What is attacked.
        typical: float32 (classes,), from `typical_losses`.
        steps: Adam's, at most.

    Returns:
        What moves images to the classes it is given. It draws no random numbers.
    """

    def move(images: Float32Array, goals: Int64Array) -> Float32Array:
        start, wanted = torch.tensor(images), torch.tensor(goals)
        return towards(classifier, start, wanted, torch.tensor(typical[goals]), steps=steps).numpy()

    return move


def typical_losses(target: AttackTarget) -> Float32Array:
    """float32 (classes,): the median cross-entropy of a class on its own images, or of all where it has but a few."""
    logits = target.gradients.logits(target.images)
    losses = np.logaddexp.reduce(logits, axis=1) - np.take_along_axis(logits, target.labels[:, None], axis=1)[:, 0]
    typical = np.full(len(target.gradients.labels), np.median(losses), np.float32)
    for label in np.unique(target.labels):
        own = losses[target.labels == label]
        if len(own) >= _FEW:
            typical[label] = np.median(own)
    return typical


def towards(
    classifier: TorchClassifier,
    images: Tensor,
    goals: Tensor,
    thresholds: Tensor,
    *,
    steps: int,
    least_steps: int = _LEAST_STEPS,
) -> Tensor:
    """Move images into classes, each for itself.

    Args:
        classifier: Differentiable.
        images: float32 (N, channels, height, width), canonical.
        goals: int64 (N,), classes to reach.
        thresholds: float32 (N,), cross-entropies of the goal below which an image is done.
        steps: Adam's, at most.
        least_steps: Steps that every image takes.

    Returns:
        float32, as `images`: each at the step it was done, or where the steps ended.
    """

    def objective(points: Tensor, rows: Tensor) -> Measured:
        losses = functional.cross_entropy(classifier.differentiable_logits(points), goals[rows], reduction="none")
        distances = (points - images[rows]).square().flatten(1).mean(1)
        return Measured(losses, losses + _NEARNESS * distances)

    def in_box(points: Tensor, rows: Tensor) -> Tensor:
        del rows
        return points.clamp(0, 1)

    return descend(
        images,
        objective,
        in_box,
        steps=steps,
        learning_rate=_RATE,
        stop_loss=thresholds,
        least_steps=least_steps,
        keep_last=True,
    ).points
