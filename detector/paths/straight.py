"""Straight paths in input space: where they lead, the points on them, and their barriers (Vrabel et al., Sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.profiles import PathKind, PathTarget, View, runner_up_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.profiles import PathPlan, PathProfile

_SHIFT_SHARE = 32  # of the image's size
_BLUR_TRUNCATE = 4.0  # standard deviations kept of the Gaussian's tail


@dataclass(frozen=True)
class Prototypes:
    """Synthetic inputs, several per class, that the classifier assigns to their class with near-zero loss.

    Args:
        images: float32 (classes, per_class, channels, height, width), canonical.
        losses: float32 (classes, per_class), cross-entropy of the class at its prototypes, nats.
    """

    images: Float32Array
    losses: Float32Array

    @property
    def per_class(self) -> int:
        """Prototypes each class has."""
        return int(self.images.shape[1])


@dataclass(frozen=True)
class Barriers:
    """Barriers on the paths to the prototypes of the predicted class, the highest path's per image.

    Args:
        heights: float32 (N,), maximum path loss, end points included, nats, >= 0. NaN where the plan has no such path.
        gaps: float32 (N,), that maximum minus the larger loss at the same path's two ends, nats, >= 0.
    """

    heights: Float32Array
    gaps: Float32Array


def path_targets(
    images: Float32Array, image_logits: Float32Array, plan: PathPlan, prototypes: Prototypes
) -> Float32Array:
    """The end points of every image's paths.

    Args:
        images: float32 (N, channels, height, width), canonical.
        image_logits: float32 (N, classes), the classifier's answer on `images`.
        plan: Which paths.
        prototypes: What the prototype paths lead to.

    Returns:
        float32 (N, paths, channels, height, width).
    """
    predicted = np.argmax(image_logits, axis=1)
    runner_up = runner_up_classes(image_logits)

    def end_points(target: PathTarget) -> Float32Array:
        match target.kind:
            case PathKind.PROTOTYPE:
                return prototypes.images[predicted, target.index]
            case PathKind.RUNNER_UP_PROTOTYPE:
                return prototypes.images[runner_up, target.index]
            case PathKind.BLUR:
                return gaussian_blur(images, plan.blur_sigma)

    return np.stack([end_points(target) for target in plan.targets], axis=1)


def interpolate(images: Float32Array, targets: Float32Array, alphas: Sequence[float]) -> Float32Array:
    """The points ``x(alpha) = (1 - alpha) * x + alpha * target``.

    Args:
        images: float32 (N, channels, height, width).
        targets: float32 (N, paths, channels, height, width).
        alphas: Grid points in [0, 1].

    Returns:
        float32 (N, paths, alphas, channels, height, width).
    """
    weights = np.asarray(alphas, np.float32)[:, None, None, None]
    points: Float32Array = (np.float32(1) - weights) * images[:, None, None] + weights * targets[:, :, None]
    return points


def view_images(images: Float32Array, view: View) -> Float32Array:
    """Images (N, channels, height, width) in another view, of the same shape."""
    match view:
        case View.MIRROR:
            return images[..., ::-1]
        case View.SHIFT:
            rows, columns = (shifted_indices(size) for size in images.shape[-2:])
            return images[..., rows[:, None], columns]


def shifted_indices(size: int) -> NDArray[np.int64]:
    """Which row, or column, each one of a shifted view shows: int64 (size,)."""
    return np.maximum(np.arange(size) - max(1, size // _SHIFT_SHARE), 0)


def gaussian_blur(images: Float32Array, sigma: float) -> Float32Array:
    """Blur images (..., height, width) with a Gaussian of `sigma` pixels; edges are mirrored."""
    rows = blur_matrix(images.shape[-2], sigma)
    columns = blur_matrix(images.shape[-1], sigma)
    return np.matmul(np.matmul(rows, images), columns.T, dtype=np.float32)


def blur_matrix(size: int, sigma: float) -> Float32Array:
    """The blur along one axis as a (size, size) matrix, whose rows sum to 1."""
    radius = int(_BLUR_TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((size, size))
    sources = _mirror(np.arange(size)[:, None] + offsets, size)
    np.add.at(matrix, (np.arange(size)[:, None], sources), kernel / kernel.sum())
    return matrix.astype(np.float32)


def _mirror(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices reflected into [0, size), the edge pixel repeated."""
    period = np.mod(index, 2 * size)
    return np.where(period < size, period, 2 * size - 1 - period)


def barriers(profile: PathProfile, prototypes: Prototypes) -> Barriers:
    """Barrier height and gap of each image, on whichever path to its class's prototypes has the highest barrier.

    The prototype's own loss closes each path; it was measured once, when the prototype was made.
    """
    rows = [i for i, target in enumerate(profile.plan.targets) if target.kind is PathKind.PROTOTYPE]
    count = len(profile.logits)
    if not rows:
        missing = np.full(count, np.nan, np.float32)
        return Barriers(missing, missing)
    kept = [profile.plan.targets[row].index for row in rows]
    ends = prototypes.losses[profile.predicted][:, kept]
    losses = profile.losses[:, rows]
    heights = np.maximum(losses.max(axis=2), ends)
    gaps = heights - np.maximum(losses[:, :, 0], ends)
    highest = (np.arange(count), heights.argmax(axis=1))
    return Barriers(heights[highest], gaps[highest])
