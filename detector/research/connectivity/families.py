"""Families of shapes fitted between inputs: their free points are moved until all of the shape is low.

All free points of a shape are optimised together on the loss at points drawn anew for every step (Garipov et al., Sec.
3.2), its mean or a soft maximum. The bypass is the other way: it moves one point, and asks at that point alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from detector.descent import Measured, descend
from detector.errors import AnalysisError, ClassifierError, GradientsUnavailableError
from detector.profiles import path_losses
from detector.shards.base import Job, shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.progress import Advance
    from detector.research.connectivity.shapes import Shape
    from detector.shards.base import Models
    from detector.shards.stages import Arrays

_AT_ONCE = 128  # images that are differentiated together
_MEASURED_AT_ONCE = 1024
_SHARD = 32  # groups of corners


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How free points are moved.

    Args:
        steps: Adam's; 0 leaves the shape flat.
        samples: Points of the shape at which each step asks; `steps` times as many gradients are taken of each shape.
        learning_rate: Adam's, on pixels in [0, 1].
        sharpness: 0 makes the mean loss small; above, the soft maximum ``log(mean(exp(s * loss))) / s``, 1/nats.
        seed: Of the points drawn.

    Raises:
        AnalysisError: A value is out of range.
    """

    steps: int = 64
    samples: int = 4
    learning_rate: float = 0.005
    sharpness: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0 or self.samples < 1:
            raise AnalysisError("fit: steps must not be negative, samples at least 1")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.sharpness < math.inf:
            raise AnalysisError("fit: learning_rate must be above 0, sharpness not negative")

    @property
    def gradients(self) -> int:
        """Taken of each shape: each a forward and a backward pass of one image."""
        return self.steps * self.samples


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of inputs of one class that are to be joined; a pair is a group of two.

    Args:
        corners: float32 (G, corners, C, H, W), canonical.
        classes: int64 (G,), whose loss is to be small.
    """

    corners: Float32Array
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Groups:
        """Some of them."""
        return Groups(self.corners[rows], self.classes[rows])


def fit(gradients: TorchClassifier, groups: Groups, shape: Shape, options: FitOptions) -> Float32Array:
    """Move the free points of one shape for each group, each for itself; pixels stay in [0, 1].

    Returns:
        float32 (G, free, C, H, W).

    Raises:
        GradientsUnavailableError: The classifier has no gradient.
        ClassifierError: The classifier fails, or its loss is no finite number.
    """
    begin = np.einsum("fc,gc...->gf...", shape.start(), groups.corners).astype(np.float32)
    if not shape.free or not options.steps:
        return begin
    found = [
        _fitted(gradients, groups[rows], begin[rows], shape, options)
        for rows in _batches(len(groups), _AT_ONCE // options.samples)
    ]
    return np.concatenate([begin[:0], *found])


def _fitted(
    classifier: TorchClassifier, groups: Groups, begin: Float32Array, shape: Shape, options: FitOptions
) -> Float32Array:
    corners = torch.tensor(groups.corners, device=classifier.device)
    wanted = torch.tensor(groups.classes, device=classifier.device)
    rng = np.random.default_rng(options.seed)  # for every batch anew: what is drawn depends on no other group

    def measure(points: Tensor, rows: Tensor) -> Measured:
        weights = torch.tensor(shape.draw(rng, options.samples), device=points.device)
        on_shape = torch.einsum("nk,gkchw->gnchw", weights, torch.cat([corners[rows], points], dim=1))
        logits = classifier.differentiable_logits(on_shape.flatten(0, 1))
        losses = cross_entropy(logits, wanted[rows].repeat_interleave(len(weights)), reduction="none")
        each = losses.reshape(len(points), -1)
        return Measured(each.amax(1), _mean(each, options.sharpness))

    def put_back(points: Tensor, rows: Tensor) -> Tensor:
        del rows
        return points.clamp(0, 1)

    found = descend(
        torch.tensor(begin, device=classifier.device),
        measure,
        put_back,
        steps=options.steps,
        learning_rate=options.learning_rate,
        keep_last=True,
    )
    if not found.losses.isfinite().all():
        raise ClassifierError(f"{classifier.description}: its loss between inputs is not finite")
    return found.points.cpu().numpy()


def _mean(losses: Tensor, sharpness: float) -> Tensor:
    """float32 (G,): of losses (G, n), the mean or the soft maximum."""
    if not sharpness:
        return losses.mean(1)
    return (torch.logsumexp(sharpness * losses, 1) - math.log(losses.shape[1])) / sharpness


def measured_losses(classifier: Classifier, groups: Groups, free: Float32Array, weights: Float32Array) -> Float32Array:
    """The loss at points of shapes.

    Args:
        classifier: What is asked.
        groups: Whose corners.
        free: float32 (G, free, C, H, W).
        weights: float32 (n, corners + free), of the points.

    Returns:
        float32 (G, n), nats.
    """
    losses = np.empty((len(groups), len(weights)), np.float32)
    for rows in _batches(len(groups), _MEASURED_AT_ONCE // len(weights)):
        on_shape = _on_shape(groups.corners[rows], free[rows], weights)
        logits = classifier.logits(on_shape.reshape(-1, *on_shape.shape[2:]))
        losses[rows] = path_losses(logits.reshape(*on_shape.shape[:2], -1), groups.classes[rows])
    return losses


def lengths(groups: Groups, free: Float32Array, weights: Float32Array) -> Float32Array:
    """How long curves are, in units of the straight path between their ends.

    Args:
        groups: Of two corners each, which differ.
        free: float32 (G, free, C, H, W).
        weights: float32 (n, corners + free), of points of the curve in their order.

    Returns:
        float32 (G,), at least 1 but for rounding.
    """
    found = np.empty(len(groups), np.float32)
    for rows in _batches(len(groups), _MEASURED_AT_ONCE // len(weights)):
        on_shape = _on_shape(groups.corners[rows], free[rows], weights)
        steps = np.linalg.norm(np.diff(on_shape.reshape(*on_shape.shape[:2], -1), axis=1), axis=2)
        straight = (groups.corners[rows, 1] - groups.corners[rows, 0]).reshape(len(on_shape), -1)
        found[rows] = steps.sum(axis=1) / np.linalg.norm(straight, axis=1)
    return found


def fit_job(title: str, groups: Groups, shape: Shape, options: FitOptions, points: int) -> Job:
    """Fit one shape to groups and measure it: `losses` (G, n), of curves `lengths` (G,), and `free` (G, free, C, H, W).

    Args:
        title: For people who watch.
        groups: At least one.
        shape: Which.
        options: How.
        points: As for `Shape.grid`.

    Raises:
        AnalysisError: There is no group.
    """
    if not len(groups):
        raise AnalysisError("groups: there is none to join")
    return Job(title, _fit, (shape, options, points), lambda shard: groups[shard.rows], shards(len(groups), _SHARD))


def _fit(models: Models, shared: tuple[Shape, FitOptions, int], groups: Groups, advance: Advance) -> Arrays:
    shape, options, points = shared
    if models.gradients is None:
        raise GradientsUnavailableError("paths can't be fitted without gradients")
    free, grid = fit(models.gradients, groups, shape, options), shape.grid(points)
    arrays = {"losses": measured_losses(models.classifier, groups, free, grid), "free": free}
    if shape.corners == 2:  # noqa: PLR2004 - a curve has two ends
        arrays["lengths"] = lengths(groups, free, grid)
    advance(len(groups))
    return arrays


def _on_shape(corners: Float32Array, free: Float32Array, weights: Float32Array) -> Float32Array:
    """float32 (G, n, C, H, W)."""
    return np.einsum("nk,gk...->gn...", weights, np.concatenate([corners, free], axis=1), optimize=True)


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(at, at + max(size, 1)) for at in range(0, count, max(size, 1)))
