"""Profile to features: what a scorer reads.

Every channel is one number per point of the walk that does not change when a constant is added to all logits, so a
classifier that puts out log-probabilities gets the same features as one that puts out logits, and none of them
depends on the number of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.profiles import PathPlan, PathProfile

CHANNELS = ("margin", "loss", "runner_up_margin", "elevation", "spread", "log_evidence")
"""Per point: `margin` and `loss` of the predicted class; its lead over the image's runner-up class; its logit above the
mean logit; the standard deviation of the logits; and log-sum-exp of the logits above their mean."""


def feature_names(plan: PathPlan) -> tuple[str, ...]:
    """The names of the features, in order: ``channel@image`` once, then ``channel@path:alpha`` for each inner point."""
    points = ["image", *(f"{t.name}:{alpha:.4g}" for t in plan.targets for alpha in plan.alphas)]
    return tuple(f"{channel}@{point}" for channel in CHANNELS for point in points)


def profile_features(profile: PathProfile) -> Float32Array:
    """Read a profile into features.

    Args:
        profile: N images' path profile.

    Returns:
        float32 (N, channels * (1 + paths * inner alphas)), in the order of `feature_names`.
    """
    logits = profile.logits
    runner_up = profile.runner_up[:, None, None, None]
    predicted = profile.predicted[:, None, None, None]
    own = np.take_along_axis(logits, predicted, axis=-1)[..., 0]
    centre = logits.mean(axis=-1)
    elevation = own - centre
    channels = (
        profile.margins,
        profile.losses,
        own - np.take_along_axis(logits, runner_up, axis=-1)[..., 0],
        elevation,
        logits.std(axis=-1),
        profile.losses + elevation,
    )
    return np.concatenate([_flatten(values) for values in channels], axis=1, dtype=np.float32)


def _flatten(values: Float32Array) -> Float32Array:
    """(N, paths, grid) to (N, 1 + paths * inner), the shared image point first and once."""
    return np.concatenate([values[:, 0, :1], values[:, :, 1:].reshape(len(values), -1)], axis=1)
