from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import read_bundle
from detector.classifiers.loading import load_classifier, tapped
from detector.embedded import SPEC
from detector.engine.walker import PathWalker
from detector.images import to_canonical
from detector.paths.straight import Prototypes, gaussian_blur
from detector.profiles import PathKind, PathPlan, PathTarget, View
from tests.support.bundles import DIGITS_PLAN, digits_onnx
from tests.support.formulas import FormulaClassifier, one_pixel

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def bundle(digits_bundle: Path) -> Bundle:
    return read_bundle(digits_bundle)


@pytest.fixture(scope="module")
def images(digits: EmbeddedDefault) -> Float32Array:
    return to_canonical(digits.test.pixels, SPEC.shape)


def _one_by_one(classifier: Classifier, image: Float32Array, prototypes: Prototypes, plan: PathPlan) -> Float32Array:
    """The slow twin: one image, one point, one call at a time; (paths, grid, classes)."""
    start = classifier.logits(image[None])[0]
    order = np.argsort(-start, kind="stable")
    paths = []
    for target in plan.targets:
        if target.kind is PathKind.BLUR:
            end = gaussian_blur(image, plan.blur_sigma)
        else:
            end = prototypes.images[order[0 if target.kind is PathKind.PROTOTYPE else 1], target.index]
        points = [(1 - alpha) * image + alpha * end for alpha in plan.alphas]
        paths.append([start, *(classifier.logits(point[None].astype(np.float32))[0] for point in points)])
    return np.array(paths)


def test_it_is_the_naive_loop(bundle: Bundle, digits: EmbeddedDefault, images: Float32Array) -> None:
    classifier, prototypes = digits_onnx(digits), bundle.parts.prototypes
    found = PathWalker(classifier, prototypes, DIGITS_PLAN).profile(images[:12])
    slow = [_one_by_one(classifier, image, prototypes, DIGITS_PLAN) for image in images[:12]]
    assert found.plan == DIGITS_PLAN
    assert found.logits.dtype == np.float32
    np.testing.assert_allclose(found.logits, slow, rtol=1e-3, atol=1e-3)


def _shown(image: Float32Array, view: View) -> Float32Array:
    """The slow twin of one view of one image, pixel by pixel; for sides below 64, which are shifted by one pixel."""
    _, height, width = image.shape
    seen = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            if view is View.MIRROR:
                seen[:, row, column] = image[:, row, width - 1 - column]
            else:
                seen[:, row, column] = image[:, max(row - 1, 0), max(column - 1, 0)]
    return seen


@pytest.mark.parametrize("views", [(View.MIRROR, View.SHIFT), (View.SHIFT, View.MIRROR), (View.SHIFT,), ()], ids=len)
def test_views_are_the_naive_loop_in_the_order_of_the_plan(
    bundle: Bundle, digits: EmbeddedDefault, images: Float32Array, views: tuple[View, ...]
) -> None:
    classifier, prototypes = digits_onnx(digits), bundle.parts.prototypes
    found = PathWalker(classifier, prototypes, replace(DIGITS_PLAN, views=views)).profile(images[:12])
    without = PathWalker(classifier, prototypes, DIGITS_PLAN).profile(images[:12])
    np.testing.assert_allclose(found.logits, without.logits, rtol=1e-4, atol=1e-4)
    assert without.views is None
    if not views:
        assert found.views is None
        return
    slow = [[classifier.logits(_shown(image, view)[None])[0] for view in views] for image in images[:12]]
    assert found.views is not None
    assert found.views.dtype == np.float32
    np.testing.assert_allclose(found.views, slow, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("paths", [(0, 3), (2,), (0, 1, 2, 3), ()], ids=str)
def test_taps_are_the_naive_loop_along_the_tapped_paths(
    bundle: Bundle, digits: EmbeddedDefault, images: Float32Array, paths: tuple[int, ...]
) -> None:
    eyed = tapped(load_classifier(digits.classifier_file)).classifier
    assert eyed.tap_count > 0
    plan = replace(DIGITS_PLAN, tapped=paths)
    found = PathWalker(eyed, bundle.parts.prototypes, plan).profile(images[:6])
    if not paths:
        assert found.taps is None
        return
    slow = [_taps_one_by_one(eyed, image, bundle.parts.prototypes, plan) for image in images[:6]]
    assert found.taps is not None
    assert found.taps.dtype == np.float32
    assert found.taps.shape == (6, len(plan.tapped_points), eyed.tap_count)
    np.testing.assert_allclose(found.taps, slow, rtol=1e-3, atol=1e-3)


def _taps_one_by_one(
    classifier: Classifier, image: Float32Array, prototypes: Prototypes, plan: PathPlan
) -> Float32Array:
    """The slow twin: the taps at every point that `tapped_points` names, (tapped points, numbers)."""
    start = classifier.answers(image[None])
    order = np.argsort(-start.logits[0], kind="stable")
    ends = {
        "prototype": prototypes.images[order[0]],
        "runner_up_prototype": prototypes.images[order[1]],
        "blur": [gaussian_blur(image, plan.blur_sigma)],
    }
    rows = []
    for point in plan.tapped_points:
        path, _, alpha = point.rpartition(":")
        kind, _, index = path.partition("[")
        step = float(alpha) if path else 0.0
        end = ends[kind][int(index.rstrip("]") or 0)] if path else image
        rows.append(classifier.answers(((1 - step) * image + step * end)[None].astype(np.float32)).taps[0])
    return np.array(rows)


def test_an_image_gets_the_same_answer_in_any_company(
    bundle: Bundle, digits: EmbeddedDefault, images: Float32Array
) -> None:
    engine = PathWalker(digits_onnx(digits), bundle.parts.prototypes, DIGITS_PLAN)
    together = engine.profile(images)
    alone = np.concatenate([engine.profile(images[i : i + 1]).logits for i in range(40)])
    np.testing.assert_allclose(together.logits[:40], alone, rtol=1e-4, atol=1e-4)
    backwards = engine.profile(images[::-1])
    np.testing.assert_allclose(backwards.logits[::-1], together.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("points", [1, 8, 300])
def test_memory_is_bounded_by_points_held_at_once(points: int) -> None:
    classifier = FormulaClassifier(lambda images: np.hstack([images[:, 0, 0], 1 - images[:, 0, 0]]), 2)
    plan = PathPlan((PathTarget(PathKind.PROTOTYPE, 0),), tuple((i + 1) / points for i in range(points)))
    prototypes = Prototypes(np.ones((2, 1, 1, 1, 1), np.float32), np.zeros((2, 1), np.float32))
    profile = PathWalker(classifier, prototypes, plan).profile(one_pixel(*np.linspace(0, 1, 1000)))
    assert classifier.largest <= max(256, points)
    assert classifier.asked == 1000 * plan.forwards_per_image
    expected = np.linspace(np.linspace(0, 1, 1000), np.ones(1000), points + 1, axis=1)
    np.testing.assert_allclose(profile.logits[:, 0, :, 0], expected, atol=1e-6)
