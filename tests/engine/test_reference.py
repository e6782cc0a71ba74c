from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import read_bundle
from detector.embedded import SPEC
from detector.engine.reference import ReferenceEngine
from detector.images import to_canonical
from detector.paths import Prototypes, gaussian_blur
from detector.profiles import PathKind, PathPlan, PathTarget
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
    found = ReferenceEngine(classifier, prototypes, DIGITS_PLAN).profile(images[:12])
    slow = [_one_by_one(classifier, image, prototypes, DIGITS_PLAN) for image in images[:12]]
    assert found.plan == DIGITS_PLAN
    assert found.logits.dtype == np.float32
    np.testing.assert_allclose(found.logits, slow, rtol=1e-3, atol=1e-3)


def test_an_image_gets_the_same_answer_in_any_company(
    bundle: Bundle, digits: EmbeddedDefault, images: Float32Array
) -> None:
    engine = ReferenceEngine(digits_onnx(digits), bundle.parts.prototypes, DIGITS_PLAN)
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
    profile = ReferenceEngine(classifier, prototypes, plan).profile(one_pixel(*np.linspace(0, 1, 1000)))
    assert classifier.largest <= max(256, points)
    assert classifier.asked == 1000 * plan.forwards_per_image
    expected = np.linspace(np.linspace(0, 1, 1000), np.ones(1000), points + 1, axis=1)
    np.testing.assert_allclose(profile.logits[:, 0, :, 0], expected, atol=1e-6)
