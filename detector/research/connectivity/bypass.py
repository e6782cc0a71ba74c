"""The bypass: a path's barrier point B is moved to a B' of low loss, and A - B' - C connects (Vrabel et al., Sec. 3.2).

Adam on the pixels minimises the cross-entropy of the class plus a penalty on the distance to B, within the hyperplane
through B across the path. The authors take the part along the path out of the gradient, after which Adam's own scaling
still leaves the hyperplane, by up to 2.5 % of the path; here the point itself is put back after every step. Unlike
theirs, pixels stay in the valid box [0, 1] unless told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from detector.errors import AnalysisError, ClassifierError
from detector.prototypes.smoothness import mean_variation

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_LEAST_STEP = 1e-8  # of the multiplier that puts a point back; what no step can move further needs none
_DOUBLINGS = 60
_HALVINGS = 40


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

    Raises:
        AnalysisError: A value is out of range.
    """

    steps: int = 256
    learning_rate: float = 0.005
    nearness: float = 0.1
    smoothness: float = 0.0
    on_hyperplane: bool = True
    within_box: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0:
            raise AnalysisError("bypass: steps must be at least 1, learning_rate above 0")
        if self.nearness < 0 or self.smoothness < 0:
            raise AnalysisError("bypass: nearness and smoothness must not be negative")


@dataclass(frozen=True, eq=False)
class Bypasses:
    """Barrier points that were moved.

    Args:
        points: float32 (P, C, H, W), the B': of all iterates the one of the lowest objective, so never of a higher
            loss than B.
        losses: float32 (P,), the class's cross-entropy there, nats.
    """

    points: Float32Array
    losses: Float32Array


def bypass(
    classifier: TorchClassifier,
    barrier_points: Float32Array,
    directions: Float32Array,
    classes: NDArray[np.int64],
    options: BypassOptions,
    *,
    on_step: Callable[[int], None] | None = None,
) -> Bypasses:
    """Move the barrier points of P paths, each for itself, in one batch.

    Args:
        classifier: Differentiable; its device does the work.
        barrier_points: float32 (P, C, H, W), canonical: the B.
        directions: float32 (P, C, H, W): C - A of each path.
        classes: int64 (P,), whose loss is made small.
        options: How.
        on_step: Told of every step.

    Raises:
        GradientsUnavailableError: The classifier has no gradient.
        ClassifierError: The classifier fails, or gives what is no finite number.
    """
    device = classifier.device
    fixed = torch.tensor(barrier_points, device=device)
    across = torch.tensor(directions, device=device)
    wanted = torch.tensor(classes, device=device)
    moved = fixed.clone().requires_grad_()
    adam = torch.optim.Adam([moved], lr=options.learning_rate)
    best, best_losses = fixed.clone(), torch.full((len(fixed),), torch.inf, device=device)
    lowest = best_losses.clone()
    for step in range(options.steps + 1):
        losses = cross_entropy(classifier.differentiable_logits(moved), wanted, reduction="none")
        objectives = losses + _penalties(moved - fixed, options)
        with torch.no_grad():
            better = objectives < lowest
            lowest[better], best_losses[better], best[better] = objectives[better], losses[better], moved[better]
        if step == options.steps:
            break
        (moved.grad,) = torch.autograd.grad(objectives.sum(), [moved])
        adam.step()
        with torch.no_grad():
            moved.copy_(_put_back(moved, fixed, across, options))
        if on_step:
            on_step(1)
    if not best_losses.isfinite().all():
        raise ClassifierError(f"{classifier.description}: its loss at a barrier point is not finite")
    return Bypasses(best.cpu().numpy(), best_losses.cpu().numpy())


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
    share = _along(points, fixed, across) / across.square().flatten(1).sum(1).clamp_min(_LEAST_STEP)
    return points - _each(share) * across


def onto_boxed_hyperplane(points: Tensor, fixed: Tensor, across: Tensor) -> Tensor:
    """The nearest points with pixels in [0, 1] on hyperplanes.

    The nearest point is ``clamp(x - m * v, 0, 1)`` for the one number m at which it is on the hyperplane; how far along
    v it lies falls with m, so m is found by halving.

    Args:
        points: float32 (P, C, H, W).
        fixed: float32 (P, C, H, W), pixels in [0, 1]: each on its hyperplane.
        across: float32 (P, C, H, W): the hyperplanes' normals v.
    """

    def beyond(multipliers: Tensor) -> Tensor:
        return _along((points - _each(multipliers) * across).clamp(0, 1), fixed, across)

    start = beyond(torch.zeros(len(points), device=points.device))
    squares = across.square().flatten(1).sum(1)
    far = start / squares.clamp_min(_LEAST_STEP)
    for _ in range(_DOUBLINGS):
        short = beyond(far) * start.sign() > 0
        if not short.any():
            break
        far = torch.where(short, 2 * far, far)
    near = torch.zeros_like(far)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        short = beyond(middle) * start.sign() > 0
        near, far = torch.where(short, middle, near), torch.where(short, far, middle)
    return (points - _each(far) * across).clamp(0, 1)


def _along(points: Tensor, fixed: Tensor, across: Tensor) -> Tensor:
    """float32 (P,): how far along the normal, times its length, points lie from the hyperplane."""
    return ((points - fixed) * across).flatten(1).sum(1)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
