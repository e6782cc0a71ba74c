from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget
from detector.scoring.features import CHANNELS, feature_names, profile_features

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

PLAN = PathPlan(
    (PathTarget(PathKind.PROTOTYPE, 0), PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 1), PathTarget(PathKind.BLUR)),
    (0.25, 0.5),
)
IMAGES = 9


def _profile(classes: int, seed: int = 0) -> PathProfile:
    logits = (4 * np.random.default_rng(seed).standard_normal((IMAGES, 3, 3, classes))).astype(np.float32)
    logits[:, :, 0] = logits[:, :1, 0]  # grid point 0 is the image itself on every path
    return PathProfile(PLAN, logits)


def _log_softmax(logits: Float32Array) -> Float32Array:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_probabilities_give_the_features_of_logits(classes: int) -> None:
    profile = _profile(classes)
    np.testing.assert_allclose(
        profile_features(PathProfile(PLAN, _log_softmax(profile.logits))), profile_features(profile), atol=2e-4
    )


@pytest.mark.parametrize("classes", [2, 10])
def test_the_names_and_order_of_the_classes_do_not_matter(classes: int) -> None:
    profile = _profile(classes)
    permuted = profile.logits[..., np.random.default_rng(1).permutation(classes)]
    np.testing.assert_allclose(profile_features(PathProfile(PLAN, permuted)), profile_features(profile), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 10])
def test_each_feature_is_what_its_name_says(classes: int) -> None:
    """The slow twin: every feature worked out by itself from its name."""
    profile = _profile(classes)
    features = profile_features(profile)
    names = feature_names(PLAN)
    assert features.shape == (IMAGES, len(names))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert len(set(names)) == len(names) == len(CHANNELS) * (1 + 3 * 2)
    paths = [target.name for target in PLAN.targets]
    for column, name in enumerate(names):
        channel, _, point = name.partition("@")
        path, _, alpha = point.rpartition(":")
        row, step = (paths.index(path), PLAN.grid.index(float(alpha))) if path else (0, 0)
        wanted = [_slow(channel, profile, image, profile.logits[image, row, step].tolist()) for image in range(IMAGES)]
        np.testing.assert_allclose(features[:, column], wanted, rtol=1e-4, atol=1e-4, err_msg=name)


def _slow(channel: str, profile: PathProfile, image: int, logits: list[float]) -> float:
    start = profile.logits[image, 0, 0].tolist()
    best, second = sorted(range(len(start)), key=lambda c: -start[c])[:2]
    mean = sum(logits) / len(logits)
    total = np.log(sum(np.exp(v) for v in logits))
    meanings = {
        "margin": logits[best] - max(v for c, v in enumerate(logits) if c != best),
        "loss": total - logits[best],
        "runner_up_margin": logits[best] - logits[second],
        "elevation": logits[best] - mean,
        "spread": np.std(logits),
        "log_evidence": total - mean,
    }
    return float(meanings[channel])


def test_rows_do_not_see_one_another() -> None:
    profile = _profile(10)
    alone = [profile_features(PathProfile(PLAN, profile.logits[i : i + 1])) for i in range(IMAGES)]
    np.testing.assert_allclose(np.concatenate(alone), profile_features(profile), rtol=1e-5, atol=1e-5)
