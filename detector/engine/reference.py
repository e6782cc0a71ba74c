"""The reference engine: walks the paths in NumPy and asks the classifier at each point. Short enough to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.paths import interpolate, path_targets
from detector.profiles import PathProfile

if TYPE_CHECKING:
    from detector.classifiers.base import Classifier, Float32Array
    from detector.paths import Prototypes
    from detector.profiles import PathPlan

_POINTS_AT_ONCE = 256  # bounds memory: points of a chunk are all held as images


class ReferenceEngine:
    """Path profiles by plain interpolation.

    Args:
        classifier: Asked at every point.
        prototypes: Where the prototype paths lead.
        plan: Which paths, and where on them.
    """

    def __init__(self, classifier: Classifier, prototypes: Prototypes, plan: PathPlan) -> None:
        self._classifier = classifier
        self._prototypes = prototypes
        self._plan = plan

    def profile(self, images: Float32Array) -> PathProfile:
        """Walk every image's paths.

        Args:
            images: float32 (N, channels, height, width), canonical, N >= 1.

        Returns:
            The profile of all N images, `plan.forwards_per_image` classifier forwards each.
        """
        size = max(1, _POINTS_AT_ONCE // (self._plan.forwards_per_image - 1))
        chunks = [self._walk(images[i : i + size]) for i in range(0, len(images), size)]
        return PathProfile(self._plan, np.concatenate(chunks))

    def _walk(self, images: Float32Array) -> Float32Array:
        """Logits (n, paths, grid, classes) of a chunk that fits in memory."""
        start = self._classifier.logits(images)
        targets = path_targets(images, start, self._plan, self._prototypes)
        points = interpolate(images, targets, self._plan.alphas)
        inner = self._classifier.logits(points.reshape(-1, *images.shape[1:]))
        inner = inner.reshape(*points.shape[:3], -1)
        origin = np.broadcast_to(start[:, None, None], (*inner.shape[:2], 1, inner.shape[3]))
        return np.concatenate([origin, inner], axis=2)
