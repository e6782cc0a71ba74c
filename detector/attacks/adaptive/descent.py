"""Projected gradient descent, shared by all attacks on the guard with gradients: steps, and which iterate is kept.

Every iterate is seen as a service would see it, rounded to whole levels; gradients are taken there and move the
unrounded one (straight-through). So what is kept is what will be sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from detector.attacks.adaptive.judging import WON, badness
from detector.attacks.adaptive.stand_in import ScoredFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.adaptive.ball import Ball
    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.attacks.adaptive.walking import Walk

_LAST_STEP = 0.1  # of the first
_KEPT = 8  # of the iterates of a descent, whose features are kept: memory


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
class Standing:
    """Where an attack stands before a step, with those M of its N images that it has not won yet.

    Args:
        rows: int64 (M,), which they are.
        images: float32 (M, channels, height, width), as a service would see them; a leaf with gradients.
        walk: Of `images`.
        labels: int64 (M,), classes to leave.
        p_values: float32 (M,), the real guard's.
    """

    rows: Tensor
    images: Tensor
    walk: Walk
    labels: Tensor
    p_values: Tensor


Rule = Callable[[Standing], Tensor]
"""Given where the attack stands: the direction to move against, of the shape of its images."""


@dataclass(frozen=True, eq=False)
class Found:
    """What an attack has come to.

    Args:
        images: float32 (N, channels, height, width), whole levels in the ball: per image the best iterate.
        badness: float64 (N,), for the attacker; see `badness`.
        seen: The features and the real scores of some of the iterates.
    """

    images: Tensor
    badness: NDArray[np.float64]
    seen: ScoredFeatures

    @property
    def open(self) -> NDArray[np.int64]:
        """int64: the images on which something is left to win."""
        return np.flatnonzero(self.badness >= WON)


def descend(
    guard: DifferentiableGuard,
    ball: Ball,
    labels: Tensor,
    rule: Rule,
    steps: Steps,
    *,
    start: Tensor,
    shape: Callable[[Tensor], Tensor] | None = None,
) -> Found:
    """Walk downhill and keep, per image, the iterate that deceives best; images that are won are left alone.

    Which that is, the attacker knows exactly: the walk is the guard's own, and its features are put to the real scorer.

    Args:
        guard: What is attacked.
        ball: Where the images may go.
        labels: int64 (N,), classes to leave.
        rule: Where downhill is.
        steps: How many, how large.
        start: float32, as `ball.images`: where from.
        shape: Makes a step of length one of a direction; None takes `unit`.
    """
    moved = ball.nearest(start)
    best, worth = ball.whole_levels(moved), np.full(len(labels), np.inf)
    kept: list[ScoredFeatures] = []
    for step in range(steps.count + 1):
        last = step == steps.count
        still = np.flatnonzero(worth >= WON)
        if not len(still):
            break
        rows = torch.from_numpy(still)
        here = ball.at(rows)
        with torch.set_grad_enabled(not last):
            seen = here.whole_levels(moved[rows]).requires_grad_(not last)
            walk = guard.walker.walk(seen)
            scores, p_values = guard.real_scores(walk)
            now = badness(walk.image_logits.detach().numpy(), labels[rows].numpy(), scores, p_values)
            better = now < worth[still]
            worth[still[better]] = now[better]
            best[rows[torch.from_numpy(better)]] = seen.detach()[torch.from_numpy(better)]
            if last or step % -(-steps.count // _KEPT) == 0:
                kept.append(ScoredFeatures(walk.features.detach().numpy(), scores))
            if not last:
                standing = Standing(rows, seen, walk, labels[rows], torch.from_numpy(p_values.astype(np.float32)))
                direction = (shape or unit)(rule(standing).detach())
                moved[rows] = here.nearest(moved[rows] - steps.size_at(step) * direction)
    return Found(best, worth, ScoredFeatures.of(kept))


def unit(direction: Tensor) -> Tensor:
    """The sign of a direction: steepest descent in Linf."""
    return direction.sign()


def even(direction: Tensor) -> Tensor:
    """A direction, kept, at the Euclidean length of `unit`'s: a sign would no longer be orthogonal to anything."""
    flat = direction.flatten(1)
    length = flat.norm(dim=1).clamp_min(torch.finfo(flat.dtype).tiny) / math.sqrt(flat.shape[1])
    return direction / length[:, None, None, None]
