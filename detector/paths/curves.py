"""The loss of a class along straight paths between two inputs, and its barrier (Vrabel et al., Sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.paths.straight import interpolate
from detector.profiles import path_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array

_MOST_POINTS = 1024  # images that are asked about at once: the points of a path are many, and not kept


def even_alphas(points: int) -> tuple[float, ...]:
    """An even grid on a path, both ends included.

    Raises:
        AnalysisError: Fewer than 2 points.
    """
    if points < 2:  # noqa: PLR2004 - the ends
        raise AnalysisError(f"points: a path has at least its 2 ends, not {points}")
    return tuple(i / (points - 1) for i in range(points))


@dataclass(frozen=True, eq=False)
class LossCurves:
    """What the loss of one class does along each of P paths.

    Args:
        alphas: float64 (T,), where on the path, from 0 to 1, rising.
        losses: float32 (P, T), nats, >= 0.
    """

    alphas: NDArray[np.float64]
    losses: Float32Array

    @property
    def heights(self) -> Float32Array:
        """float32 (P,): barrier height, the largest loss on the path, ends included, nats."""
        return self.losses.max(axis=1)

    @property
    def ends(self) -> Float32Array:
        """float32 (P,): the larger loss of the two ends, nats."""
        return self.losses[:, [0, -1]].max(axis=1)

    @property
    def gaps(self) -> Float32Array:
        """float32 (P,): barrier gap, by how much the height passes the larger loss of the two ends, nats, >= 0."""
        return self.heights - self.ends

    @property
    def areas(self) -> Float32Array:
        """float32 (P,): trapezoid integral of the loss over alpha, its mean along the path, nats.

        The authors integrate over the number of the grid point, which is T - 1 times as much.
        """
        areas: Float32Array = np.asarray(np.trapezoid(self.losses, self.alphas, axis=1), np.float32)
        return areas

    @property
    def barrier_alphas(self) -> NDArray[np.float64]:
        """float64 (P,): the alpha of the highest point between the ends, which a bypass moves; T at least 3."""
        return self.alphas[1 + self.losses[:, 1:-1].argmax(axis=1)]

    @property
    def positions(self) -> Float32Array:
        """float32 (P,): the alpha of the barrier point, the first of equally high ones."""
        return self.alphas[self.losses.argmax(axis=1)].astype(np.float32)


def point_at(start: Float32Array, end: Float32Array, alpha: float) -> Float32Array:
    """One point of a straight path, float32 of the shape of its ends."""
    share = np.float32(alpha)
    return (1 - share) * start + share * end


def loss_curves(
    classifier: Classifier,
    starts: Float32Array,
    ends: Float32Array,
    classes: NDArray[np.int64],
    *,
    points: int,
    on_progress: Callable[[int], None] | None = None,
) -> LossCurves:
    """Walk straight paths on an even grid.

    Args:
        classifier: What is asked.
        starts: float32 (P, C, H, W), canonical.
        ends: float32 (P, C, H, W), canonical.
        classes: int64 (P,), whose loss is measured on each path.
        points: Of the grid, both ends included; at least 2.
        on_progress: Told the number of paths done since it was told last.

    Returns:
        The curves, in the order given; none for no pair.

    Raises:
        AnalysisError: Fewer than 2 points.
        ClassifierError: The classifier fails, or gives what is no finite number.
    """
    alphas = even_alphas(points)
    losses = np.empty((len(starts), points), np.float32)
    batch = max(1, _MOST_POINTS // points)
    for begin in range(0, len(starts), batch):
        rows = slice(begin, begin + batch)
        on_path = interpolate(starts[rows], ends[rows, None], alphas)
        logits = classifier.logits(on_path.reshape(-1, *starts.shape[1:]))
        losses[rows] = path_losses(logits.reshape(len(on_path), points, -1), classes[rows])
        if on_progress:
            on_progress(len(on_path))
    return LossCurves(np.array(alphas), losses)
