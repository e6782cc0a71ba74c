"""The walker: interpolates the paths in NumPy and asks the classifier at each point. Short enough to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.base import Answers
from detector.paths.straight import interpolate, path_targets, view_images
from detector.profiles import PathProfile
from detector.residuals import residual_statistics

if TYPE_CHECKING:
    from detector.classifiers.base import Classifier, Float32Array
    from detector.paths.straight import Prototypes
    from detector.profiles import PathPlan

_POINTS_AT_ONCE = 256  # bounds memory: points of a chunk are all held as images


class PathWalker:
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
        walks = [self._walk(images[i : i + size]) for i in range(0, len(images), size)]
        logits, taps, views, residuals = (np.concatenate(parts) for parts in zip(*walks, strict=True))
        return PathProfile(
            self._plan,
            logits,
            taps if self._plan.tapped else None,
            views if self._plan.views else None,
            residuals if self._plan.residuals else None,
        )

    def _walk(self, images: Float32Array) -> tuple[Float32Array, ...]:
        """Logits, taps, views and residuals, shaped as in `PathProfile`, of a chunk that fits in memory.

        The classifier is asked twice: it may be far away.
        """
        start, views = self._beginning(images)
        targets = path_targets(images, start.logits, self._plan, self._prototypes)
        points = interpolate(images, targets, self._plan.alphas)
        inner = self._classifier.answers(points.reshape(-1, *images.shape[1:]))
        logits = inner.logits.reshape(*points.shape[:3], -1)
        origin = np.broadcast_to(start.logits[:, None, None], (*logits.shape[:2], 1, logits.shape[3]))
        taps = inner.taps.reshape(*points.shape[:3], self._classifier.tap_count)
        return (
            np.concatenate([origin, logits], axis=2),
            self._tapped(start.taps, taps),
            views,
            residual_statistics(images) if self._plan.residuals else np.empty((len(images), 0), np.float32),
        )

    def _beginning(self, images: Float32Array) -> tuple[Answers, Float32Array]:
        """Answers to n images, and logits (n, views, classes) of the plan's other views of them."""
        seen = [images, *(view_images(images, view) for view in self._plan.views)]
        answers = self._classifier.answers(np.concatenate(seen))
        logits = answers.logits.reshape(len(seen), len(images), -1)
        return Answers(logits[0], answers.taps[: len(images)]), logits[1:].swapaxes(0, 1)

    def _tapped(self, start: Float32Array, inner: Float32Array) -> Float32Array:
        """The taps (n, tapped points, numbers) of a plan, of those of the images and of all points of their paths."""
        if not self._plan.tapped:
            return np.empty((len(start), 0, start.shape[1]), np.float32)
        along = [inner[:, path] for path in self._plan.tapped]
        return np.concatenate([start[:, None], *along], axis=1)
