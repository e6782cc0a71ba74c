"""Loss plus lambda times score, and the two attacks that keep the constraints apart.

Orthogonal and Selective PGD: Bryniarski et al., *Evading Adversarial Example Detection Defenses with Orthogonal
Projected Gradient Descent*, arXiv 2106.15023, Sec. 3.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch

from detector.attacks.adaptive.descent import Ball, Found, Steps, descend, margins

if TYPE_CHECKING:
    from torch import Tensor

    from detector.attacks.adaptive.descent import Rule
    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.attacks.adaptive.walking import Walk

WEIGHTS = (0.1, 1.0, 10.0)
"""The lambdas tried on every image."""
_CONFIDENCE = 0.02  # of a typical margin: how wrong is wrong enough


def joint_attack(
    guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, generator: torch.Generator
) -> Found:
    """Descend on the margin, as long as the class is right, plus lambda times the score; per image the best lambda."""

    def rule(weight: float) -> Rule:
        def direction(seen: Tensor, walk: Walk) -> Tensor:
            losses = _hinge(guard, walk, labels) + weight * guard.stand_in.score(walk.features)
            (gradient,) = torch.autograd.grad(losses.sum(), [seen])
            return gradient

        return direction

    runs = (descend(guard, ball, labels, rule(w), steps, start=ball.random(generator)) for w in WEIGHTS)
    return reduce(Found.better, runs)


def selective_attack(
    guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, generator: torch.Generator
) -> Found:
    """Descend on the margin while the class is right, else on the score."""

    def direction(seen: Tensor, walk: Walk) -> Tensor:
        losses = torch.where(
            _right(guard, walk, labels), _lead(guard, walk, labels), guard.stand_in.score(walk.features)
        )
        (gradient,) = torch.autograd.grad(losses.sum(), [seen])
        return gradient

    return descend(guard, ball, labels, direction, steps, start=ball.random(generator))


def orthogonal_attack(
    guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, generator: torch.Generator
) -> Found:
    """As `selective_attack`, but each step leaves the other constraint's value as it is, to first order."""

    def direction(seen: Tensor, walk: Walk) -> Tensor:
        right = _right(guard, walk, labels)[:, None, None, None]
        (class_gradient,) = torch.autograd.grad(_lead(guard, walk, labels).sum(), [seen], retain_graph=True)
        (score_gradient,) = torch.autograd.grad(guard.stand_in.score(walk.features).sum(), [seen])
        return torch.where(
            right, orthogonal_part(class_gradient, score_gradient), orthogonal_part(score_gradient, class_gradient)
        )

    return descend(guard, ball, labels, direction, steps, start=ball.random(generator))


def orthogonal_part(direction: Tensor, to: Tensor) -> Tensor:
    """What is left of each image's direction without its projection on another (Eq. 6).

    Args:
        direction: float32 (N, channels, height, width).
        to: Likewise; where it is zero, the direction stays as it is.
    """
    length = to.flatten(1).norm(dim=1).clamp_min(torch.finfo(to.dtype).tiny)[:, None, None, None]
    along = to / length
    return direction - (direction * along).sum((1, 2, 3), keepdim=True) * along


def _lead(guard: DifferentiableGuard, walk: Walk, labels: Tensor) -> Tensor:
    """(N,): the true class's margin, 1 for a typical benign image."""
    return margins(walk.image_logits, labels) / guard.benign.margin


def _hinge(guard: DifferentiableGuard, walk: Walk, labels: Tensor) -> Tensor:
    return (_lead(guard, walk, labels) + _CONFIDENCE).clamp_min(0)


def _right(guard: DifferentiableGuard, walk: Walk, labels: Tensor) -> Tensor:
    return _lead(guard, walk, labels).detach() > -_CONFIDENCE
