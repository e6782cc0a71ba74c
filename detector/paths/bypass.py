"""The bypass: a path's barrier point B is moved to a B' of low loss, and A - B' - C connects (Vrabel et al., Sec. 3.2).

Adam on the pixels minimises the cross-entropy of the class plus a penalty on the distance to B, within the hyperplane
through B across the path. The authors take the part along the path out of the gradient, after which Adam's own scaling
still leaves the hyperplane, by up to 2.5 % of the path; here the point itself is put back after every step. Unlike
theirs, pixels stay in the valid box [0, 1] unless told otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from detector.descent import Measured, descend, mean_variation
from detector.errors import AnalysisError, ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_BATCH = 128
"""Points moved at once: as fast as a processor gets, and few enough for its memory. Another number rounds otherwise."""
_LEAST_SQUARE = 1e-8  # of a path's length; a shorter one has no hyperplane
_CLOSE = 1e-6  # to the hyperplane, as a share of the distance moved
_ROUNDING = 1e-7  # of float32 pixels
_MOST_SEARCHED = 200  # multipliers; four or so are needed
_HALVE_EVERY = 4


@dataclass(frozen=True, kw_only=True)
class BypassOptions:
    """How barrier points are moved.

    Args:
        steps: Adam's.
        learning_rate: Adam's, on pixels in [0, 1].
        nearness: Weight of the mean squared distance to the barrier point.
        smoothness: Weight of the mean absolute difference of neighbouring pixels of what is added to it.
        on_hyperplane: Whether the point stays on the hyperplane through the barrier point across the path.
        within_box: Whether pixels stay in [0, 1]; the authors let them leave it.
        stop_loss: A point whose loss is below this takes no further step, nats; 0 takes all steps, as the authors do.
            What further steps add is drift: Adam walks on, at its own pace, where there is no slope left.

    Raises:
        AnalysisError: A value is out of range.
    """

    steps: int = 256
    learning_rate: float = 0.005
    nearness: float = 0.1
    smoothness: float = 0.0
    on_hyperplane: bool = True
    within_box: bool = True
    stop_loss: float = 1e-4

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.learning_rate < math.inf:
            raise AnalysisError("bypass: steps must be at least 1, learning_rate above 0")
        for name in ("nearness", "smoothness", "stop_loss"):
            if not 0 <= getattr(self, name) < math.inf:
                raise AnalysisError(f"bypass: {name} must be a number, not negative")


@dataclass(frozen=True, eq=False)
class Bypasses:
    """Barrier points that were moved.

    Args:
        points: float32 (P, C, H, W), the B': of all iterates the one of the lowest objective, so never of a higher
            loss than B.
        losses: float32 (P,), the class's cross-entropy there, nats.
        steps: int64 (P,), how many steps each took: its gradients.
    """

    points: Float32Array
    losses: Float32Array
    steps: NDArray[np.int64]


def bypass(
    classifier: TorchClassifier,
    barrier_points: Float32Array,
    directions: Float32Array,
    classes: NDArray[np.int64],
    options: BypassOptions,
    *,
    on_step: Callable[[int], None] | None = None,
) -> Bypasses:
    """Move the barrier points of P paths, each for itself.

    Args:
        classifier: Differentiable; its device does the work.
        barrier_points: float32 (P, C, H, W), canonical: the B.
        directions: float32 (P, C, H, W): C - A of each path.
        classes: int64 (P,), whose loss is made small.
        options: How.
        on_step: Told of every step of every batch.

    Raises:
        GradientsUnavailableError: The classifier has no gradient.
        ClassifierError: The classifier fails, or gives what is no finite number.
    """
    batches = [slice(at, at + _BATCH) for at in range(0, len(barrier_points), _BATCH)]
    found = [
        _bypassed(classifier, barrier_points[rows], directions[rows], classes[rows], options, on_step=on_step)
        for rows in batches
    ]
    if not found:
        return Bypasses(barrier_points.copy(), np.empty(0, np.float32), np.empty(0, np.int64))
    points, losses, steps = zip(*found, strict=True)
    return Bypasses(np.concatenate(points), np.concatenate(losses), np.concatenate(steps))


def _bypassed(
    classifier: TorchClassifier,
    barrier_points: Float32Array,
    directions: Float32Array,
    classes: NDArray[np.int64],
    options: BypassOptions,
    *,
    on_step: Callable[[int], None] | None,
) -> tuple[Float32Array, Float32Array, NDArray[np.int64]]:
    """One batch: points, losses, steps."""
    device = classifier.device
    fixed = torch.tensor(barrier_points, device=device)
    across = torch.tensor(directions, device=device)
    wanted = torch.tensor(classes, device=device)

    def measure(points: Tensor, rows: Tensor) -> Measured:
        losses = cross_entropy(classifier.differentiable_logits(points), wanted[rows], reduction="none")
        return Measured(losses, losses + _penalties(points - fixed[rows], options))

    def put_back(points: Tensor, rows: Tensor) -> Tensor:
        return _put_back(points, fixed[rows], across[rows], options)

    found = descend(
        fixed,
        measure,
        put_back,
        steps=options.steps,
        learning_rate=options.learning_rate,
        stop_loss=options.stop_loss,
        on_step=on_step,
    )
    if not found.losses.isfinite().all():
        raise ClassifierError(f"{classifier.description}: its loss at a barrier point is not finite")
    return found.points.cpu().numpy(), found.losses.cpu().numpy(), found.steps.cpu().numpy()


def _penalties(added: Tensor, options: BypassOptions) -> Tensor:
    """float32 (P,): what the distance from the barrier point costs."""
    penalties = options.nearness * added.square().flatten(1).mean(1)
    if options.smoothness:
        penalties = penalties + options.smoothness * mean_variation(added)
    return penalties


def _put_back(points: Tensor, fixed: Tensor, across: Tensor, options: BypassOptions) -> Tensor:
    """The nearest points that the options allow."""
    if not options.on_hyperplane:
        return points.clamp(0, 1) if options.within_box else points
    if options.within_box:
        return onto_boxed_hyperplane(points, fixed, across)
    share = _along(points, fixed, across) / across.square().flatten(1).sum(1).clamp_min(_LEAST_SQUARE)
    return points - _each(share) * across


def onto_boxed_hyperplane(points: Tensor, fixed: Tensor, across: Tensor) -> Tensor:
    """The nearest points with pixels in [0, 1] on hyperplanes.

    The nearest point is ``clamp(x - m * v, 0, 1)`` for the one number m at which it is on the hyperplane. How far
    along v it lies falls with m in straight pieces, so Newton's method finds m in a few steps; it is kept between the
    multipliers already seen to be too small and too large, and every few steps halves what lies between them instead.

    Args:
        points: float32 (P, C, H, W).
        fixed: float32 (P, C, H, W), pixels in [0, 1]: each on its hyperplane.
        across: float32 (P, C, H, W): the hyperplanes' normals v.

    Returns:
        float32 (P, C, H, W). What is not a number stays none.
    """
    squares = across.square()
    normal = squares.flatten(1).sum(1)
    multipliers = torch.zeros_like(normal)
    low, high = torch.full_like(normal, -torch.inf), torch.full_like(normal, torch.inf)
    for step in range(1, _MOST_SEARCHED + 1):
        free = points - _each(multipliers) * across
        placed = free.clamp(0, 1)
        moved = placed - fixed
        beyond = (moved * across).flatten(1).sum(1)
        close = normal.sqrt() * (_CLOSE * moved.square().flatten(1).sum(1).sqrt() + _ROUNDING)
        far = beyond.abs() > close  # never so for what is not a number
        if not far.any():
            break
        low, high = torch.where(beyond > 0, multipliers, low), torch.where(beyond < 0, multipliers, high)
        newton = multipliers + beyond / (squares * (free == placed)).flatten(1).sum(1)
        # Without both bounds: twice as far, at least as far as all pixels together would have to go.
        further = multipliers + beyond.sign() * torch.maximum(multipliers.abs(), beyond.abs() / normal)
        middle = torch.where(low.isfinite() & high.isfinite(), (low + high) / 2, further)
        trusted = (newton > low) & (newton < high) & newton.isfinite() & (step % _HALVE_EVERY != 0)
        multipliers = torch.where(far, torch.where(trusted, newton, middle), multipliers)
    return placed


def _along(points: Tensor, fixed: Tensor, across: Tensor) -> Tensor:
    """float32 (P,): how far along the normal, times its length, points lie from the hyperplane."""
    return ((points - fixed) * across).flatten(1).sum(1)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
