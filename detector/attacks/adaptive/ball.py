"""Where an attacker may go: the whole-levelled images within a budget, and plain descent among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from detector.attacks.adaptive.walking import Walker

_LEVELS = 255
_SLACK = 1e-3  # of a level: what float32 loses


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

    def at(self, rows: Tensor) -> Ball:
        """The balls of some of the images, int64 (M,)."""
        return Ball(self.images[rows], self.low[rows], self.high[rows])

    def nearest(self, images: Tensor) -> Tensor:
        """The nearest points of the ball."""
        return torch.minimum(torch.maximum(images, self.low), self.high)

    def whole_levels(self, images: Tensor) -> Tensor:
        """The nearest points of the ball that are whole levels."""
        return self.nearest(torch.round(images * _LEVELS) / _LEVELS)

    def random(self, generator: torch.Generator) -> Tensor:
        """A point of each image's ball, each as likely."""
        return self.low + torch.rand(self.low.shape, generator=generator) * (self.high - self.low)


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
