"""Adam on points of input space, many independent sets of them in one batch; sets that are settled leave it.

Beside it the penalty that keeps what is optimised smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Measured:
    """What a set of points is worth.

    Args:
        losses: float32 (P,), what is reported, nats.
        objectives: float32 (P,), what is made small: the losses and what is added to them.
    """

    losses: Tensor
    objectives: Tensor


class Objective(Protocol):
    """Measures points, differentiably."""

    def __call__(self, points: Tensor, rows: Tensor) -> Measured:
        """Measure `points`, those of the problems `rows`, int64 (P,)."""
        ...


class Constraint(Protocol):
    """Puts points back to where they may be."""

    def __call__(self, points: Tensor, rows: Tensor) -> Tensor:
        """The nearest points allowed to `points`, those of the problems `rows`, int64 (P,)."""
        ...


@dataclass(frozen=True, eq=False)
class Descended:
    """Where points went.

    Args:
        points: float32, of all iterates of each problem the one of the lowest objective; or the last.
        losses: float32 (P,), there; infinite where no objective was a number.
        steps: int64 (P,), how many steps each problem took.
    """

    points: Tensor
    losses: Tensor
    steps: Tensor


def descend(
    start: Tensor,
    objective: Objective,
    constraint: Constraint,
    *,
    steps: int,
    learning_rate: float,
    stop_loss: float | Tensor = 0.0,
    least_steps: int = 0,
    keep_last: bool = False,
    on_step: Callable[[int], None] | None = None,
) -> Descended:
    """Move the points of P problems, each for itself.

    Args:
        start: float32 (P, ...), where they begin.
        objective: What is made small.
        constraint: Applied after every step.
        steps: Adam's, at most.
        learning_rate: Adam's.
        stop_loss: A problem whose loss is below it is settled: it takes no further step, and costs none. One for all,
            or float32 (P,).
        least_steps: That every problem takes.
        keep_last: Whether the last iterate counts rather than the best, for objectives that are drawn anew each time.
        on_step: Told of every step of the batch.
    """
    moving = _Moving.of(start, learning_rate)
    best, taken = start.clone(), torch.zeros(len(start), dtype=torch.int64, device=start.device)
    losses = torch.full((len(start),), torch.inf, device=start.device)
    lowest = losses.clone()
    limits = torch.as_tensor(stop_loss, device=start.device).expand(len(start))
    may_settle = bool((limits > 0).any())
    for step in range(steps + 1):
        rows = moving.rows
        measured = objective(moving.points, rows)
        with torch.no_grad():
            better = measured.objectives.isfinite() if keep_last else measured.objectives < lowest[rows]
            mask = better.reshape(-1, *[1] * (start.ndim - 1))
            best[rows] = torch.where(mask, moving.points, best[rows])
            losses[rows] = torch.where(better, measured.losses, losses[rows])
            lowest[rows] = torch.where(better, measured.objectives, lowest[rows])
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(measured.objectives.sum(), [moving.points])
        if may_settle and step >= least_steps:
            open_ = torch.nonzero(measured.losses >= limits[rows]).squeeze(1)
            if not len(open_):
                break
            if len(open_) < len(rows):
                moving, gradient = moving.narrowed(open_), gradient[open_]
        moving.step(gradient, constraint)
        taken[moving.rows] += 1
        if on_step:
            on_step(1)
    return Descended(best, losses, taken)


@dataclass(frozen=True, eq=False)
class _Moving:
    """The problems that still move: which, their points, and the Adam that moves them."""

    rows: Tensor
    points: Tensor
    adam: torch.optim.Adam

    @classmethod
    def of(cls, start: Tensor, learning_rate: float) -> _Moving:
        points = start.clone().requires_grad_()
        rows = torch.arange(len(start), device=start.device)
        return cls(rows, points, torch.optim.Adam([points], lr=learning_rate))

    def narrowed(self, kept: Tensor) -> _Moving:
        """The same with fewer problems, whose moments go on."""
        points = self.points.detach()[kept].requires_grad_()
        adam = torch.optim.Adam([points], lr=self.adam.defaults["lr"])
        for name, value in self.adam.state[self.points].items():
            adam.state[points][name] = value[kept] if value.ndim else value  # the number of the step is a scalar
        return _Moving(self.rows[kept], points, adam)

    def step(self, gradient: Tensor, constraint: Constraint) -> None:
        self.points.grad = gradient
        self.adam.step()
        with torch.no_grad():
            self.points.copy_(constraint(self.points, self.rows))


def mean_variation(pixels: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, over both axes.

    Args:
        pixels: float32 (N, channels, height, width).

    Returns:
        float32 (N,), in units of the pixels, 0 for a flat image. The paper's penalty on high frequencies is the sum
        instead: some twice the number of pixels times as much.
    """
    across = (pixels[..., 1:] - pixels[..., :-1]).abs().flatten(1).mean(1)
    down = (pixels[..., 1:, :] - pixels[..., :-1, :]).abs().flatten(1).mean(1)
    return (across + down) / 2
