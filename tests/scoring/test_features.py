from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget, View
from detector.scoring.features import CHANNELS, feature_names, profile_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array

PLAN = PathPlan(
    (PathTarget(PathKind.PROTOTYPE, 0), PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 1), PathTarget(PathKind.BLUR)),
    (0.25, 0.5),
    tapped=(0, 2),
    views=(View.SHIFT, View.MIRROR),
    residuals=True,
)
IMAGES = 9
TAPS = 4
RESIDUALS = 3
POINTS = 1 + 3 * 2 + 2  # the image, inner points, views
TAPPED_POINTS = 1 + 2 * 2


def _profile(classes: int, seed: int = 0) -> PathProfile:
    rng = np.random.default_rng(seed)
    logits = (4 * rng.standard_normal((IMAGES, 3, 3, classes))).astype(np.float32)
    logits[:, :, 0] = logits[:, :1, 0]  # grid point 0 is the image itself on every path
    taps = rng.standard_normal((IMAGES, TAPPED_POINTS, TAPS)).astype(np.float32)
    views = (4 * rng.standard_normal((IMAGES, 2, classes))).astype(np.float32)
    return PathProfile(PLAN, logits, taps, views, rng.random((IMAGES, RESIDUALS), np.float32))


def _with_logits(profile: PathProfile, change: Callable[[Float32Array], Float32Array]) -> PathProfile:
    """The same profile with something done to all its logits."""
    assert profile.views is not None
    return replace(profile, logits=change(profile.logits), views=change(profile.views))


def _log_softmax(logits: Float32Array) -> Float32Array:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_probabilities_give_the_features_of_logits(classes: int) -> None:
    profile = _profile(classes)
    found = profile_features(_with_logits(profile, _log_softmax))
    np.testing.assert_allclose(found, profile_features(profile), atol=2e-4)


@pytest.mark.parametrize("classes", [2, 10])
def test_the_names_and_order_of_the_classes_do_not_matter(classes: int) -> None:
    profile = _profile(classes)
    order = np.random.default_rng(1).permutation(classes)
    found = profile_features(_with_logits(profile, lambda logits: logits[..., order]))
    np.testing.assert_allclose(found, profile_features(profile), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 10])
def test_each_feature_is_what_its_name_says(classes: int) -> None:
    """The slow twin: every feature worked out by itself from its name."""
    profile = _profile(classes)
    features = profile_features(profile)
    names = feature_names(PLAN, TAPS, RESIDUALS)
    assert features.shape == (IMAGES, len(names))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert len(set(names)) == len(names) == len(CHANNELS) * POINTS + TAPS * TAPPED_POINTS + RESIDUALS
    for column, name in enumerate(names):
        channel, _, point = name.partition("@")
        if channel.startswith("residual"):
            assert point == "image"
            assert profile.residuals is not None
            wanted = [float(value) for value in profile.residuals[:, int(channel[len("residual[") : -1])]]
        elif channel.startswith("tap"):
            wanted = [_slow_tap(channel, point, profile, image) for image in range(IMAGES)]
        else:
            wanted = [_slow(channel, profile, image, _logits_at(point, profile, image)) for image in range(IMAGES)]
        np.testing.assert_allclose(features[:, column], wanted, rtol=1e-4, atol=1e-4, err_msg=name)


def _logits_at(point: str, profile: PathProfile, image: int) -> list[float]:
    assert profile.views is not None
    if point in list(View):
        return [float(v) for v in profile.views[image, PLAN.views.index(View(point))]]
    path, _, alpha = point.rpartition(":")
    paths = [target.name for target in PLAN.targets]
    row, step = (paths.index(path), PLAN.grid.index(float(alpha))) if path else (0, 0)
    return [float(v) for v in profile.logits[image, row, step]]


def _slow_tap(tap: str, point: str, profile: PathProfile, image: int) -> float:
    """At the image what the tap gives; elsewhere how far it has moved from there."""
    assert profile.taps is not None
    number = int(tap.removeprefix("tap[").removesuffix("]"))
    start = float(profile.taps[image, 0, number])
    if point == "image":
        return start
    return float(profile.taps[image, PLAN.tapped_points.index(point), number]) - start


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
    alone = [profile_features(profile.take(slice(i, i + 1))) for i in range(IMAGES)]
    np.testing.assert_allclose(np.concatenate(alone), profile_features(profile), rtol=1e-5, atol=1e-5)


def _disturbed(logits: Float32Array, point: Any) -> Float32Array:
    """The same but for one point of every image, given as an index of NumPy's."""
    changed = logits.copy()
    changed[point] += np.linspace(1, 3, logits.shape[-1], dtype=np.float32)
    return changed


def _changed(before: PathProfile, after: PathProfile) -> set[str]:
    """The names of the features that differ."""
    differs = (profile_features(before) != profile_features(after)).any(axis=0)
    return {name for name, moved in zip(feature_names(PLAN, TAPS, RESIDUALS), differs, strict=True) if moved}


@pytest.mark.parametrize("path", range(3))
@pytest.mark.parametrize("step", [1, 2])
def test_a_disturbed_point_of_a_path_is_seen_under_its_name_and_nowhere_else(path: int, step: int) -> None:
    profile = _profile(5)
    after = replace(profile, logits=_disturbed(profile.logits, np.s_[:, path, step]))
    point = f"{PLAN.targets[path].name}:{PLAN.grid[step]:.4g}"
    assert _changed(profile, after) == {f"{channel}@{point}" for channel in CHANNELS}


@pytest.mark.parametrize("view", range(2))
def test_a_disturbed_view_is_seen_under_its_name_and_nowhere_else(view: int) -> None:
    profile = _profile(5)
    assert profile.views is not None
    after = replace(profile, views=_disturbed(profile.views, np.s_[:, view]))
    assert _changed(profile, after) == {f"{channel}@{PLAN.views[view].value}" for channel in CHANNELS}


@pytest.mark.parametrize("point", range(TAPPED_POINTS))
@pytest.mark.parametrize("number", range(TAPS))
def test_a_disturbed_tap_is_seen_where_it_is_and_at_the_image_everywhere(point: int, number: int) -> None:
    profile = _profile(5)
    assert profile.taps is not None
    taps = profile.taps.copy()
    taps[:, point, number] += 1
    seen = {PLAN.tapped_points[point]} if point else set(PLAN.tapped_points)
    assert _changed(profile, replace(profile, taps=taps)) == {f"tap[{number}]@{name}" for name in seen}


@pytest.mark.parametrize("tapped", [(), (1,)])
@pytest.mark.parametrize("views", [(), tuple(View)])
def test_without_taps_or_views_the_other_features_are_the_same(
    tapped: tuple[int, ...], views: tuple[View, ...]
) -> None:
    profile = _profile(5)
    assert profile.taps is not None
    assert profile.views is not None
    plan = replace(PLAN, tapped=tapped, views=views, residuals=False)
    fewer = PathProfile(plan, profile.logits, profile.taps[:, :3] if tapped else None, profile.views if views else None)
    names, full = feature_names(plan, TAPS), feature_names(PLAN, TAPS, RESIDUALS)
    features = profile_features(fewer)
    assert features.shape == (IMAGES, len(names))
    assert len(names) == len(CHANNELS) * (7 + len(views)) + TAPS * 3 * len(tapped)
    shared = [name for name in names if not name.startswith("tap") and "mirror" not in name and "shift" not in name]
    columns = [full.index(name) for name in shared]
    np.testing.assert_array_equal(
        features[:, [names.index(name) for name in shared]], profile_features(profile)[:, columns]
    )
