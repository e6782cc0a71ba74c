"""Carlini and Wagner's L2 attack (arXiv 1608.04644, Sec. V), with one backward pass per step.

The library's own takes the gradient of every class in turn (about twenty backward passes per step for ten classes),
which puts a calibration out of reach; this is the one known attack written here. Pixels are kept in their box by
clamping instead of the paper's tanh, whose gradient vanishes at black and white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from detector.classifiers.torch import TorchClassifier

_GROWTH = 10.0  # of the weight, while no attack has succeeded yet


@dataclass(frozen=True, kw_only=True)
class CwOptions:
    """How hard to try.

    Args:
        confidence: Wanted lead, in logits, of another class over the true one.
        steps: Adam steps for each weight.
        searches: Weights tried, by bisection.
        first_weight: Of the classification term against the squared distance.
        learning_rate: Of Adam, on pixels.
    """

    confidence: float
    steps: int
    searches: int = 3
    first_weight: float = 0.5
    learning_rate: float = 0.005


def carlini_wagner(classifier: TorchClassifier, images: Tensor, labels: Tensor, options: CwOptions) -> Tensor:
    """Move images out of their class with the smallest L2 perturbation found.

    Args:
        classifier: Differentiable.
        images: float32 (N, channels, height, width), canonical.
        labels: int64 (N,), classes to leave.
        options: How hard to try.

    Returns:
        float32, as `images`; an image no attempt moved comes back as it was.
    """
    weights = torch.full((len(images),), options.first_weight)
    low, high = torch.zeros(len(images)), torch.full((len(images),), torch.inf)
    best, best_distances = images.clone(), torch.full((len(images),), torch.inf)
    for _ in range(options.searches):
        found, distances = _minimise(classifier, images, labels, weights, options)
        closer = distances < best_distances
        best[closer], best_distances[closer] = found[closer], distances[closer]
        succeeded = distances.isfinite()
        high = torch.where(succeeded, torch.minimum(high, weights), high)
        low = torch.where(succeeded, low, torch.maximum(low, weights))
        weights = torch.where(high.isfinite(), (low + high) / 2, weights * _GROWTH)
    return best


def _minimise(
    classifier: TorchClassifier, images: Tensor, labels: Tensor, weights: Tensor, options: CwOptions
) -> tuple[Tensor, Tensor]:
    """The closest success at fixed weights, and its squared distance (infinite where there was none)."""
    moved = images.clone().requires_grad_()
    adam = torch.optim.Adam([moved], lr=options.learning_rate)
    best, best_distances = images.clone(), torch.full((len(images),), torch.inf)
    for _ in range(options.steps):
        lead = _lead(classifier.differentiable_logits(moved), labels)
        distances = (moved - images).square().flatten(1).sum(1)
        objective = (distances + weights * (options.confidence - lead).clamp_min(0)).sum()
        (moved.grad,) = torch.autograd.grad(objective, [moved])
        with torch.no_grad():
            closer = (lead >= options.confidence) & (distances < best_distances)
            best[closer], best_distances[closer] = moved[closer], distances[closer]
        adam.step()
        with torch.no_grad():
            moved.clamp_(0, 1)
    return best, best_distances


def _lead(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much the best other class leads the labelled one: (N,)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(1) - own
