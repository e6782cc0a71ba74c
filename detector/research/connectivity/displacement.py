"""What a bypass changes: how far B' lies from B, and which pixels it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.paths.curves import point_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.paths.chains import Chains


@dataclass(frozen=True, eq=False)
class Displacements:
    """The first bypasses of those paths that were bypassed.

    Args:
        rows: int64 (M,), which of the paths.
        shares: float32 (M,), |B' - B| / |C - A|.
        largest: float32 (M,), the largest change of a pixel as a share of the largest pixel of B.
        across: float32 (M,), by how much B' leaves the hyperplane through B, as a share of |C - A|.
        changes: float32 (M, C, H, W), B' - B.
    """

    rows: NDArray[np.int64]
    shares: Float32Array
    largest: Float32Array
    across: Float32Array
    changes: Float32Array


def displacements(chains: Chains) -> Displacements:
    """Where each path's first barrier point went.

    Later rounds add further points to a path; B' is the one on the hyperplane through B, since they lie elsewhere.
    """
    rows = np.flatnonzero(chains.segments[:, -1] > 1)
    shape = chains.waypoints[0].shape[1:] if chains.waypoints else ()
    alphas = chains.straight.barrier_alphas
    found = [_displaced(chains.waypoints[row], float(alphas[row])) for row in rows]
    shares, largest, across = np.array([numbers for numbers, _ in found], np.float32).reshape(-1, 3).T
    changes = np.array([change for _, change in found], np.float32).reshape(-1, *shape)
    return Displacements(rows, shares, largest, across, changes)


def _displaced(waypoints: Float32Array, alpha: float) -> tuple[tuple[float, float, float], Float32Array]:
    start, end = waypoints[0], waypoints[-1]
    along = (end - start).astype(np.float64)
    length = np.sqrt((along**2).sum())
    barrier = point_at(start, end, alpha)
    beyond = ((waypoints[1:-1] - barrier) * along).sum(axis=(1, 2, 3)) / max(length**2, np.finfo(np.float32).tiny)
    nearest = int(np.abs(beyond).argmin())
    change = waypoints[1 + nearest] - barrier
    share = float(np.sqrt((change.astype(np.float64) ** 2).sum()) / max(length, np.finfo(np.float32).tiny))
    largest = float(np.abs(change).max() / max(float(barrier.max()), np.finfo(np.float32).tiny))
    return (share, largest, float(abs(beyond[nearest]))), change


def class_maps(changes: Float32Array, classes: NDArray[np.int64], count: int) -> Float32Array:
    """Which pixels change to stay in a class.

    Args:
        changes: float32 (M, C, H, W).
        classes: int64 (M,).
        count: Of classes.

    Returns:
        float32 (count, H, W): the mean change's size, channels together, of the class's paths, each scaled to a
        largest of 1; 0 for a class without a path.
    """
    sizes = np.abs(changes).mean(axis=1)
    sizes /= np.maximum(sizes.max(axis=(1, 2), initial=0, keepdims=True), np.finfo(np.float32).tiny)
    maps = np.zeros((count, *changes.shape[2:]), np.float32)
    for label in np.unique(classes):
        maps[label] = sizes[classes == label].mean(axis=0)
    return maps
