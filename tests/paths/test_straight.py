from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from detector.embedded import SPEC
from detector.engine.walker import PathWalker
from detector.images import to_canonical
from detector.paths.straight import (
    Barriers,
    Prototypes,
    barriers,
    gaussian_blur,
    interpolate,
    path_targets,
    view_images,
)
from detector.profiles import PathKind, PathPlan, PathTarget, View, path_losses
from tests.support.bundles import digits_onnx
from tests.support.formulas import one_pixel, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.embedded import EmbeddedDefault

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((3, 2, 5, 4), np.float32)
TARGETS = RANDOM.random((3, 2, 2, 5, 4), np.float32)
TO_FIRST = (PathTarget(PathKind.PROTOTYPE, 0),)
EIGHTHS = tuple(i / 8 for i in range(1, 8))  # the same walked backwards


def _softplus(value: float) -> float:
    return float(np.log1p(np.exp(value)))


def _walk(classifier: Classifier, images: Float32Array, ends: Float32Array, classes: NDArray[np.int64]) -> Barriers:
    """Barriers from each image to the end of its class; row c of `ends` is class c's only prototype."""
    losses = path_losses(classifier.logits(ends)[:, None, None], classes)[:, 0]
    prototypes = Prototypes(ends[:, None], losses)
    profile = PathWalker(classifier, prototypes, PathPlan(TO_FIRST, EIGHTHS)).profile(images)
    return barriers(profile, prototypes)


def test_a_path_starts_at_the_image_and_ends_at_its_target() -> None:
    points = interpolate(IMAGES, TARGETS, (0.0, 0.25, 1.0))
    assert points.shape == (3, 2, 3, 2, 5, 4)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[:, 0, 0], IMAGES)
    np.testing.assert_array_equal(points[:, 1, 0], IMAGES)
    np.testing.assert_array_equal(points[:, :, 2], TARGETS)
    np.testing.assert_allclose(points[2, 1, 1], 0.75 * IMAGES[2] + 0.25 * TARGETS[2, 1], rtol=1e-6)


def test_points_stay_in_the_pixel_box() -> None:
    corners = RANDOM.integers(0, 2, (50, 1, 4, 4)).astype(np.float32)
    ends = RANDOM.integers(0, 2, (50, 3, 1, 4, 4)).astype(np.float32)
    points = interpolate(corners, ends, tuple(np.linspace(0, 1, 21)))
    assert points.min() >= 0
    assert points.max() <= 1


def test_each_kind_of_path_leads_where_it_says() -> None:
    prototypes = Prototypes(RANDOM.random((3, 2, 2, 5, 4), np.float32), np.zeros((3, 2), np.float32))
    plan = PathPlan(
        (
            PathTarget(PathKind.PROTOTYPE, 1),
            PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 0),
            PathTarget(PathKind.BLUR),
        ),
        (0.5,),
        blur_sigma=1.5,
    )
    logits = np.array([[3, 2, 1], [0, 5, 9], [7, 7, 1]], np.float32)  # the third: a tie goes to the lower class
    ends = path_targets(IMAGES, logits, plan, prototypes)
    np.testing.assert_array_equal(ends[:, 0], prototypes.images[[0, 2, 0], 1])
    np.testing.assert_array_equal(ends[:, 1], prototypes.images[[1, 1, 1], 0])
    np.testing.assert_array_equal(ends[:, 2], gaussian_blur(IMAGES, 1.5))


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0, 2.5, 20.0])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 3, 32, 17), (1, 1, 1, 5)])
def test_the_blur_is_scipys(sigma: float, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).random(shape, np.float32)
    expected = gaussian_filter(images, (0, 0, sigma, sigma), mode="reflect")
    blurred = gaussian_blur(images, sigma)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [0.01, 0.7, 3.0, 500.0])
def test_the_blur_keeps_constants_and_the_mean(sigma: float) -> None:
    np.testing.assert_allclose(gaussian_blur(np.full((1, 3, 9, 7), 0.37, np.float32), sigma), 0.37, rtol=1e-5)
    np.testing.assert_allclose(gaussian_blur(IMAGES, sigma).mean((2, 3)), IMAGES.mean((2, 3)), rtol=1e-4)


def test_a_narrow_blur_changes_nothing_and_a_wide_one_leaves_the_mean() -> None:
    np.testing.assert_array_equal(gaussian_blur(IMAGES, 0.01), IMAGES)
    wide = gaussian_blur(IMAGES, 500.0)
    np.testing.assert_allclose(wide, np.broadcast_to(IMAGES.mean((2, 3), keepdims=True), IMAGES.shape), atol=1e-3)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 1), (1, 3, 64, 40), (0, 1, 8, 8)])
def test_a_view_keeps_constants_shape_and_values(view: View, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).random(shape, np.float32)
    before = images.copy()
    seen = view_images(images, view)
    assert seen.shape == shape
    assert seen.dtype == np.float32
    assert np.isin(seen, images).all()
    constant = np.full(shape, 0.37, np.float32)
    np.testing.assert_array_equal(view_images(constant, view), constant)
    np.testing.assert_array_equal(images, before)


def test_a_mirrored_mirror_is_the_image() -> None:
    mirrored = view_images(IMAGES, View.MIRROR)
    np.testing.assert_array_equal(mirrored[..., 0], IMAGES[..., -1])
    assert (mirrored != IMAGES).any()
    np.testing.assert_array_equal(view_images(mirrored, View.MIRROR), IMAGES)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (32, 31), (63, 64), (224, 96), (1, 9)])
def test_a_shift_goes_down_and_right_by_a_32nd_but_at_least_a_pixel(height: int, width: int) -> None:
    images = np.random.default_rng(2).random((2, 3, height, width), np.float32)
    down, right = max(1, height // 32), max(1, width // 32)
    seen = view_images(images, View.SHIFT)
    for row in range(height):
        for column in range(width):
            source = images[:, :, max(row - down, 0), max(column - right, 0)]
            np.testing.assert_array_equal(seen[:, :, row, column], source)


def test_a_linear_classifier_has_no_barrier_above_its_ends() -> None:
    # log(1 + exp(z)) is convex, so along a straight line it is largest at an end.
    classifier = two_classes(lambda pixel: 6 * pixel - 4)
    found = _walk(classifier, one_pixel(0.5, 0.1), one_pixel(0.25, 0.9), np.arange(2))
    np.testing.assert_allclose(found.heights, [_softplus(-1), _softplus(-2.5)], rtol=1e-5)
    np.testing.assert_array_equal(found.gaps, 0)


def test_a_hill_between_image_and_prototype_is_its_barrier() -> None:
    hill = 6.0  # of the other class's logit, half-way; both ends lie at -2
    classifier = two_classes(lambda pixel: 4 * (hill + 2) * pixel * (1 - pixel) - 2)
    found = _walk(classifier, one_pixel(0.0), one_pixel(1.0, 0.5), np.arange(2))
    assert found.heights[0] == pytest.approx(_softplus(hill), rel=1e-6)
    assert found.gaps[0] == pytest.approx(_softplus(hill) - _softplus(-2), rel=1e-6)


def test_the_highest_of_several_paths_counts_and_others_than_prototypes_do_not() -> None:
    classifier = two_classes(lambda pixel: np.where(pixel > 0.6, 8.0, np.where(pixel > 0.4, 3.0, -1.0)))
    ends = np.stack([one_pixel(0.2, 0.5, 0.9), one_pixel(0.0, 0.0, 0.0)])
    losses = path_losses(classifier.logits(ends.reshape(-1, 1, 1, 1)).reshape(2, 3, 1, 2), np.array([0, 1]))[..., 0]
    prototypes = Prototypes(ends, losses)
    alphas = (0.5, 1.0)

    def heights(*targets: PathTarget) -> Float32Array:
        profile = PathWalker(classifier, prototypes, PathPlan(targets, alphas)).profile(one_pixel(0.1))
        return barriers(profile, prototypes).heights

    low, middle, high = (PathTarget(PathKind.PROTOTYPE, i) for i in range(3))
    assert heights(low)[0] == pytest.approx(_softplus(-1))
    assert heights(low, middle)[0] == pytest.approx(_softplus(3))
    assert heights(high, PathTarget(PathKind.BLUR), middle)[0] == pytest.approx(_softplus(8))
    assert np.isnan(heights(PathTarget(PathKind.BLUR), PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 0))).all()


@dataclass(frozen=True)
class Pairs:
    """For each class, rows of real images that the classifier assigns to it."""

    classifier: Classifier
    images: Float32Array  # (classes, pairs, 1, 8, 8)


@pytest.fixture(scope="module")
def pairs(digits: EmbeddedDefault) -> Pairs:
    classifier = digits_onnx(digits)
    images = to_canonical(digits.test.pixels, SPEC.shape)
    predicted = classifier.logits(images).argmax(axis=1)
    return Pairs(classifier, np.stack([images[predicted == c][:8] for c in range(10)]))


@pytest.mark.parametrize("pair", range(7))
def test_a_reversed_path_has_the_same_barrier(pairs: Pairs, pair: int) -> None:
    one, other = pairs.images[:, pair], pairs.images[:, pair + 1]
    there = _walk(pairs.classifier, one, other, np.arange(10))
    back = _walk(pairs.classifier, other, one, np.arange(10))
    np.testing.assert_allclose(there.heights, back.heights, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(there.gaps, back.gaps, rtol=1e-3, atol=1e-5)
    assert (there.gaps >= 0).all()
    assert (there.heights >= there.gaps).all()


def test_a_path_from_an_image_to_itself_has_no_gap(pairs: Pairs) -> None:
    images = pairs.images[:, 0]
    np.testing.assert_allclose(_walk(pairs.classifier, images, images, np.arange(10)).gaps, 0, atol=1e-5)


def test_real_images_are_separated_by_barriers_at_all(pairs: Pairs) -> None:
    gaps = [_walk(pairs.classifier, pairs.images[:, 0], pairs.images[:, i], np.arange(10)).gaps for i in range(1, 8)]
    assert (np.concatenate(gaps) > 1e-4).any()
