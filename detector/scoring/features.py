"""Profile to features: what a scorer reads.

Every channel of the logits is one number per point of the walk that does not change when a constant is added to all
logits, so a classifier that puts out log-probabilities gets the same features as one that puts out logits, and none of
them depends on the number of classes. Taps are read as they are at the image itself, and by how they move from there at
every other tapped point; where their statistics are known, their hidden paths are read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.profiles import logits_of, path_losses, path_margins
from detector.scoring.hidden_paths import hidden_path_features, hidden_path_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.profiles import PathPlan, PathProfile
    from detector.scoring.tap_statistics import TapStatistics

CHANNELS = ("margin", "loss", "runner_up_margin", "elevation", "spread", "log_evidence")
"""Per point: `margin` and `loss` of the predicted class; its lead over the image's runner-up class; its logit above the
mean logit; the standard deviation of the logits; and log-sum-exp of the logits above their mean."""

DOUBT_FEATURE = "loss@image"
"""The name of the classifier's own loss at the image, its doubt."""


def feature_names(plan: PathPlan, taps: int = 0, residuals: int = 0, hidden: int = 0) -> tuple[str, ...]:
    """The names of the features, in order.

    ``channel@image`` once, then ``channel@path:alpha`` for each inner point, then ``channel@view``; then, where paths
    are tapped, ``tap[i]@image`` and ``tap[i]@path:alpha`` for each number of the taps; then, where noise residuals are
    measured, ``residual[i]@image``; then those of `detector.scoring.hidden_paths`, where these are read.

    Args:
        plan: Of the profile.
        taps: Numbers the classifier's taps give per image.
        residuals: Numbers the noise residuals give per image.
        hidden: Tapped layers whose hidden paths are read.
    """
    inner = [f"{target.name}:{alpha:.4g}" for target in plan.targets for alpha in plan.alphas]
    points = ["image", *inner, *(view.value for view in plan.views)]
    channels = [f"{channel}@{point}" for channel in CHANNELS for point in points]
    tapped = (f"tap[{i}]@{point}" for point in plan.tapped_points for i in range(taps))
    measured = (f"residual[{i}]@image" for i in range(residuals if plan.residuals else 0))
    return (*channels, *tapped, *measured, *hidden_path_names(plan, hidden))


def profile_features(profile: PathProfile, statistics: TapStatistics | None = None) -> Float32Array:
    """Read a profile into features.

    Args:
        profile: N images' path profile.
        statistics: Of its taps, to read hidden paths by; None does not read them.

    Returns:
        float32 (N, features), in the order of `feature_names`.
    """
    points = _points(profile)
    features: list[NDArray[np.floating[Any]]] = [*_channels(points, profile.predicted, profile.runner_up)]
    if profile.taps is not None:
        start = profile.taps[:, :1]
        features += [start[:, 0], (profile.taps[:, 1:] - start).reshape(len(start), -1)]
    if profile.residuals is not None:
        features.append(profile.residuals)
    if statistics is not None:
        features.append(hidden_path_features(profile, statistics))
    return np.concatenate(features, axis=1, dtype=np.float32)


def _points(profile: PathProfile) -> NDArray[np.float64]:
    """Logits (N, points, classes): the image's first and once, then those of its paths and views.

    In double precision, so that features hang on the logits alone and not on the order in which an engine adds them up.
    """
    logits = profile.logits
    inner = logits[:, :, 1:].reshape(len(logits), -1, logits.shape[3])
    views = () if profile.views is None else (profile.views,)
    return np.concatenate([logits[:, 0, :1], inner, *views], axis=1, dtype=np.float64)


def _channels(
    points: NDArray[np.float64], predicted: NDArray[np.int64], runner_up: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """The channels of logits, each (N, points), in the order of `CHANNELS`."""
    own = logits_of(points, predicted)
    centre = points.mean(axis=-1)
    losses, elevation = path_losses(points, predicted), own - centre
    return [
        path_margins(points, predicted),
        losses,
        own - logits_of(points, runner_up),
        elevation,
        points.std(axis=-1),
        losses + elevation,
    ]
