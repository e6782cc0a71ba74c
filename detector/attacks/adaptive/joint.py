"""Loss plus lambda times score, and the two attacks that keep the constraints apart.

Orthogonal and Selective PGD: Bryniarski et al., *Evading Adversarial Example Detection Defenses with Orthogonal
Projected Gradient Descent*, arXiv 2106.15023, Sec. 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from detector.attacks.adaptive.descent import Found, Standing, Steps, descend, even
from detector.attacks.adaptive.margins import soft_margins

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from detector.attacks.adaptive.ball import Ball
    from detector.attacks.adaptive.guard import DifferentiableGuard

_CONFIDENCE = 0.02  # of a typical margin: how wrong is wrong enough
_FIRST_WEIGHT = 0.3
_CHANGE = 1.25  # per step: 10 steps change it tenfold
_LEAST, _MOST = 1e-2, 1e2


def joint_attack(guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, start: Tensor) -> Found:
    """Descend on the margin, as long as the class is right, plus lambda times the score; lambda as in `penalised`."""

    def penalty(at: Standing) -> Tensor:
        return guard.stand_in.score(at.walk.features)

    return penalised(guard, ball, labels, steps, start=start, penalty=penalty)


def penalised(
    guard: DifferentiableGuard,
    ball: Ball,
    labels: Tensor,
    steps: Steps,
    *,
    start: Tensor,
    penalty: Callable[[Standing], Tensor],
) -> Found:
    """Descend on the margin, as long as the class is right, plus lambda times a penalty.

    Each image has its own lambda, which one run finds as a bisection would: it starts at 0.3, falls by a fifth at every
    step at which the class is right, and rises by a quarter at every step at which it is wrong and the image detected.
    So the iterates go back and forth over where both constraints meet, and no lambda needs a run of its own.

    Args:
        guard: What is attacked.
        ball: Where the images may go.
        labels: int64 (N,), classes to leave.
        steps: How many, how large.
        start: float32, as `ball.images`: where from.
        penalty: Gives float32 (M,), of the order of 1, falling as the guard grows less suspicious.
    """
    weights = torch.full((len(labels),), _FIRST_WEIGHT)

    def direction(at: Standing) -> Tensor:
        lead = leads(guard, at)
        right = lead.detach() > -_CONFIDENCE
        weights[at.rows] = (weights[at.rows] * torch.where(right, 1 / _CHANGE, _CHANGE)).clamp(_LEAST, _MOST)
        losses = (lead + _CONFIDENCE).clamp_min(0) + weights[at.rows] * penalty(at)
        (gradient,) = torch.autograd.grad(losses.sum(), [at.images])
        return gradient

    return descend(guard, ball, labels, direction, steps, start=start)


def selective_attack(guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, start: Tensor) -> Found:
    """Descend on the margin while the class is right, else on the score."""

    def direction(at: Standing) -> Tensor:
        lead = leads(guard, at)
        losses = torch.where(lead.detach() > -_CONFIDENCE, lead, guard.stand_in.score(at.walk.features))
        (gradient,) = torch.autograd.grad(losses.sum(), [at.images])
        return gradient

    return descend(guard, ball, labels, direction, steps, start=start)


def orthogonal_attack(guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, start: Tensor) -> Found:
    """As `selective_attack`, but each step leaves the other constraint's value as it is, to first order."""

    def direction(at: Standing) -> Tensor:
        lead = leads(guard, at)
        right = (lead.detach() > -_CONFIDENCE)[:, None, None, None]
        (class_gradient,) = torch.autograd.grad(lead.sum(), [at.images], retain_graph=True)
        (score_gradient,) = torch.autograd.grad(guard.stand_in.score(at.walk.features).sum(), [at.images])
        return torch.where(
            right, orthogonal_part(class_gradient, score_gradient), orthogonal_part(score_gradient, class_gradient)
        )

    return descend(guard, ball, labels, direction, steps, start=start, shape=even)


def orthogonal_part(direction: Tensor, to: Tensor) -> Tensor:
    """What is left of each image's direction without its projection on another (Eq. 6).

    Args:
        direction: float32 (N, channels, height, width).
        to: Likewise; where it is zero, the direction stays as it is.
    """
    length = to.flatten(1).norm(dim=1).clamp_min(torch.finfo(to.dtype).tiny)[:, None, None, None]
    along = to / length
    return direction - (direction * along).sum((1, 2, 3), keepdim=True) * along


def leads(guard: DifferentiableGuard, at: Standing) -> Tensor:
    """float32 (M,): the label's margin, 1 for a typical benign image; negative where the class is wrong."""
    return soft_margins(at.walk.image_logits, at.labels) / guard.benign.margin
