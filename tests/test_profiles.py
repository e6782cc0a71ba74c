from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from detector.engine.walker import PathWalker
from detector.paths.straight import Prototypes
from detector.profiles import (
    PathKind,
    PathPlan,
    PathProfile,
    PathTarget,
    View,
    logits_of,
    path_losses,
    path_margins,
    runner_up_classes,
)
from tests.support.formulas import one_pixel, two_classes

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

PLAN = PathPlan((PathTarget(PathKind.PROTOTYPE, 0), PathTarget(PathKind.BLUR)), (0.2, 0.4, 0.8))


def _logits(classes: int, scale: float = 5.0, seed: int = 0) -> Float32Array:
    return (scale * np.random.default_rng(seed).standard_normal((6, 2, 4, classes))).astype(np.float32)


CASES = [(classes, scale) for classes in (2, 10, 1000) for scale in (0.1, 5.0, 1e4)]


@pytest.mark.parametrize(("classes", "scale"), CASES)
def test_losses_are_torchs_cross_entropy(classes: int, scale: float) -> None:
    logits = _logits(classes, scale)
    predicted = np.arange(6) % classes
    wanted = torch.from_numpy(predicted)[:, None, None].expand(6, 2, 4).reshape(-1)
    twin = cross_entropy(torch.from_numpy(logits).reshape(-1, classes), wanted, reduction="none").reshape(6, 2, 4)
    losses = path_losses(logits, predicted)
    assert losses.dtype == np.float32
    assert losses.min() >= 0
    np.testing.assert_allclose(losses, twin.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("classes", "scale"), CASES)
def test_margins_are_the_lead_over_the_best_other_class(classes: int, scale: float) -> None:
    logits = _logits(classes, scale)
    predicted = np.arange(6) % classes
    slow = [
        [[row[c] - max(v for k, v in enumerate(row) if k != c) for row in path] for path in image]
        for image, c in zip(logits.tolist(), predicted.tolist(), strict=True)
    ]
    np.testing.assert_allclose(path_margins(logits, predicted), slow, rtol=1e-5, atol=1e-5)


def test_a_constant_added_to_all_logits_changes_nothing() -> None:
    logits = _logits(10)
    shifted = logits + np.float32(64) * np.arange(6, dtype=np.float32)[:, None, None, None]
    predicted = np.arange(6)
    np.testing.assert_allclose(path_losses(shifted, predicted), path_losses(logits, predicted), atol=1e-4)
    np.testing.assert_allclose(path_margins(shifted, predicted), path_margins(logits, predicted), atol=1e-4)
    before, after = PathProfile(PLAN, logits), PathProfile(PLAN, shifted)
    np.testing.assert_array_equal(before.predicted, after.predicted)
    np.testing.assert_array_equal(before.runner_up, after.runner_up)


def test_a_loss_saturates_where_a_margin_does_not() -> None:
    logits = np.array([[40.0, 0.0], [80.0, 0.0]], np.float32)[:, None, None]
    zeros = np.zeros(2, np.int64)
    np.testing.assert_array_equal(path_losses(logits, zeros), 0)
    assert path_margins(logits, zeros).ravel().tolist() == [40, 80]


@pytest.mark.parametrize(
    ("logits", "runner_up"), [([1, 3, 2], 2), ([3, 1, 3], 2), ([2, 2, 2], 1), ([0, 1], 0), ([-5, -5], 1)]
)
def test_the_runner_up_is_the_second_best_and_never_the_best(logits: list[float], runner_up: int) -> None:
    row = np.array([logits], np.float32)
    assert runner_up_classes(row).tolist() == [runner_up]
    np.testing.assert_array_equal(row, [logits])


def test_a_profile_follows_from_its_logits() -> None:
    logits = _logits(5)
    logits[:, 1, 0] = logits[:, 0, 0]  # the image itself is shared
    profile = PathProfile(PLAN, logits)
    np.testing.assert_array_equal(profile.image_logits, logits[:, 0, 0])
    np.testing.assert_array_equal(profile.predicted, logits[:, 0, 0].argmax(1))
    np.testing.assert_array_equal(profile.losses, path_losses(logits, profile.predicted))
    best, second = np.sort(logits[:, 0, 0])[:, [-1, -2]].T
    np.testing.assert_allclose(profile.margins[:, 0, 0], best - second, rtol=1e-5)


PLANS = [
    PathPlan((PathTarget(PathKind.PROTOTYPE, 0),), (1.0,)),
    PathPlan((PathTarget(PathKind.BLUR),), (0.5,)),
    PLAN,
    PathPlan(
        (
            PathTarget(PathKind.PROTOTYPE, 0),
            PathTarget(PathKind.PROTOTYPE, 1),
            PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 1),
            PathTarget(PathKind.BLUR),
        ),
        tuple(i / 8 for i in range(1, 9)),
    ),
    PathPlan((PathTarget(PathKind.BLUR),), (0.5,), tapped=(0,), views=(View.SHIFT,)),
    PathPlan(PLAN.targets, (0.2, 0.4), tapped=(0, 1), views=(View.SHIFT, View.MIRROR), residuals=True),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{len(plan.targets)}x{len(plan.alphas)}+{len(plan.views)}")
@pytest.mark.parametrize("images", [1, 7, 300])
def test_forwards_are_what_the_classifier_is_really_asked(plan: PathPlan, images: int) -> None:
    classifier = two_classes(lambda pixel: pixel - 0.5)
    prototypes = Prototypes(np.zeros((2, 2, 1, 1, 1), np.float32), np.zeros((2, 2), np.float32))
    pixels = one_pixel(*np.linspace(0, 1, images))
    profile = PathWalker(classifier, prototypes, plan).profile(pixels)
    assert classifier.asked == images * plan.forwards_per_image
    assert profile.logits.shape == (images, len(plan.targets), len(plan.grid), 2)
    assert plan.grid == (0.0, *plan.alphas)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{len(plan.targets)}x{len(plan.alphas)}+{len(plan.views)}")
def test_a_plan_survives_its_json(plan: PathPlan) -> None:
    assert PathPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_path_has_one_name_everywhere() -> None:
    names = [PathTarget(kind, 0 if kind is PathKind.BLUR else 2).name for kind in PathKind]
    assert names == ["prototype[2]", "runner_up_prototype[2]", "blur"]


def test_the_points_that_are_tapped_are_the_image_and_the_inner_points_of_the_tapped_paths() -> None:
    targets = (PathTarget(PathKind.PROTOTYPE, 1), *PLAN.targets)
    assert PathPlan(targets, (0.25, 0.5)).tapped_points == ()
    assert PathPlan(targets, (0.25, 0.5), tapped=(0, 2)).tapped_points == (
        *("image", "prototype[1]:0.25", "prototype[1]:0.5"),
        *("blur:0.25", "blur:0.5"),
    )


@pytest.mark.parametrize("shape", [(6, 10), (6, 3, 10), (6, 2, 4, 10)])
def test_a_class_has_one_logit_at_every_point_of_any_walk(shape: tuple[int, ...]) -> None:
    logits = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    classes = np.arange(6) + 2
    found = logits_of(logits, classes)
    assert found.shape == shape[:-1]
    for image, label in enumerate(classes):
        np.testing.assert_array_equal(found[image], logits[image, ..., label])


def test_some_of_a_profile_is_the_profile_of_some() -> None:
    plan = PathPlan(PLAN.targets, PLAN.alphas, tapped=(1,), views=(View.MIRROR,), residuals=True)
    rng = np.random.default_rng(4)
    taps = rng.random((6, 4, 3), np.float32)
    views = rng.random((6, 1, 5), np.float32)
    residuals = rng.random((6, 2), np.float32)
    some = PathProfile(plan, _logits(5), taps, views, residuals).take(slice(1, 4))
    assert some.plan == plan
    assert some.taps is not None
    assert some.views is not None
    assert some.residuals is not None
    np.testing.assert_array_equal(some.logits, _logits(5)[1:4])
    np.testing.assert_array_equal(some.taps, taps[1:4])
    np.testing.assert_array_equal(some.views, views[1:4])
    np.testing.assert_array_equal(some.residuals, residuals[1:4])
    plain = PathProfile(PLAN, _logits(5)).take(slice(2))
    assert plain.taps is plain.views is plain.residuals is None
