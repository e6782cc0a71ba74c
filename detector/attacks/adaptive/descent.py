"""Projected gradient descent, shared by all attacks with gradients: the ball, the steps, and which iterate is kept.

Every iterate is seen as a service would see it, rounded to whole levels; gradients are taken there and move the
unrounded one (straight-through). So what is kept is what will be sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from detector.attacks.adaptive.stand_in import ScoredFeatures
from detector.attacks.adaptive.walking import Walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.attacks.adaptive.walking import Walker

from torch import Tensor

Rule = Callable[[Tensor, Walk], Tensor]
"""Given the images seen (a leaf with gradients) and their walk: the direction to descend against, of the same shape."""
_LEVELS = 255
_SLACK = 1e-3  # of a level: what float32 loses
_LAST_STEP = 0.1  # of the first


@dataclass(frozen=True, eq=False)
class Ball:
    """The images an attacker may send, Linf.

    Args:
        images: float32 (N, channels, height, width), canonical, whole levels.
        low: float32, as `images`: the lowest whole level of each pixel within the budget and the box.
        high: float32: the highest.
    """

    images: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, images: Tensor, budget: float) -> Self:
        """The ball of a budget, in (0, 1], around each image."""
        low = torch.ceil((images - budget) * _LEVELS - _SLACK) / _LEVELS
        high = torch.floor((images + budget) * _LEVELS + _SLACK) / _LEVELS
        return cls(images, low.clamp_min(0), high.clamp_max(1))

    def nearest(self, images: Tensor) -> Tensor:
        """The nearest points of the ball."""
        return torch.minimum(torch.maximum(images, self.low), self.high)

    def whole_levels(self, images: Tensor) -> Tensor:
        """The nearest points of the ball that are whole levels."""
        return self.nearest(torch.round(images * _LEVELS) / _LEVELS)

    def random(self, generator: torch.Generator) -> Tensor:
        """A point of each image's ball, each as likely."""
        return self.low + torch.rand(self.low.shape, generator=generator) * (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How an attack descends.

    Args:
        count: Of steps.
        size: Of the first, Linf; they shrink to a tenth of it along a cosine.
    """

    count: int
    size: float

    def size_at(self, step: int) -> float:
        """The size of one step."""
        fall = 0.5 * (1 + math.cos(math.pi * step / self.count))
        return self.size * (_LAST_STEP + (1 - _LAST_STEP) * fall)


@dataclass(frozen=True, eq=False)
class Found:
    """What an attack has come to.

    Args:
        images: float32 (N, channels, height, width), whole levels in the ball: per image the best iterate.
        badness: float64 (N,), for the attacker: below 1 where the class is wrong, lower for higher p-values; above 2
            where it is right.
        seen: The features and the real scores of all iterates.
    """

    images: Tensor
    badness: NDArray[np.float64]
    seen: ScoredFeatures

    def better(self, other: Found) -> Found:
        """Per image the better of two; all that either has seen."""
        mine = self.badness <= other.badness
        rows = torch.from_numpy(mine)[:, None, None, None]
        return Found(
            torch.where(rows, self.images, other.images),
            np.where(mine, self.badness, other.badness),
            self.seen.joined(other.seen),
        )


def descend(
    guard: DifferentiableGuard, ball: Ball, labels: Tensor, rule: Rule, steps: Steps, *, start: Tensor
) -> Found:
    """Walk downhill and keep, per image, the iterate that deceives best.

    Which that is, the attacker knows exactly: the walk is the guard's own, and its features are put to the real scorer.

    Args:
        guard: What is attacked.
        ball: Where the images may go.
        labels: int64 (N,), classes to leave.
        rule: Where downhill is.
        steps: How many, how large.
        start: float32, as `ball.images`: where from.
    """
    moved = ball.nearest(start)
    best: Found | None = None
    for step in range(steps.count + 1):
        with torch.set_grad_enabled(step < steps.count):
            seen = ball.whole_levels(moved).requires_grad_(step < steps.count)
            walk = guard.walker.walk(seen)
            here = _found(guard, seen.detach(), walk, labels)
            best = here if best is None else best.better(here)
            if step < steps.count:
                moved = ball.nearest(moved - steps.size_at(step) * unit(rule(seen, walk).detach()))
    assert best is not None
    return best


def _found(guard: DifferentiableGuard, seen: Tensor, walk: Walk, labels: Tensor) -> Found:
    scores, p_values = guard.real_scores(walk)
    lead = margins(walk.image_logits.detach(), labels).numpy().astype(np.float64)
    suspicion = 1 - p_values + 1e-6 * scores / (1 + scores)  # p-values tie; of equal ones the lower score
    badness = np.where(lead < 0, suspicion / (1 + 1e-6), 2 + lead / (1 + np.abs(lead)))
    return Found(seen, badness, ScoredFeatures(walk.features.detach().numpy(), scores))


def plain_pgd(walker: Walker, ball: Ball, labels: Tensor, *, steps: int, generator: torch.Generator) -> Tensor:
    """PGD on the classifier alone (Madry et al., arXiv 1706.06083), by one that knows of no guard.

    Args:
        walker: Its classifier is asked.
        ball: Where the images may go.
        labels: int64 (N,), classes to leave.
        steps: How many; of a quarter of the ball's radius at most.
        generator: Of the start.

    Returns:
        float32, whole levels in the ball.
    """
    moved = ball.random(generator)
    size = (ball.high - ball.low).amax() / 2 * min(0.25, 2.5 / steps)
    for _ in range(steps):
        seen = moved.clone().requires_grad_()
        losses = torch.nn.functional.cross_entropy(walker.classifier.answers(seen)[0], labels, reduction="sum")
        (gradient,) = torch.autograd.grad(losses, [seen])
        moved = ball.nearest(moved + size * gradient.sign())
    return ball.whole_levels(moved)


def margins(logits: Tensor, classes: Tensor) -> Tensor:
    """float32 (N,): a class's logit (of N, classes) minus the largest other; negative where another class wins."""
    own = logits.gather(1, classes[:, None])[:, 0]
    return own - logits.scatter(1, classes[:, None], -torch.inf).amax(1)


def unit(direction: Tensor) -> Tensor:
    """The sign of a direction: steepest descent in Linf."""
    return direction.sign()
