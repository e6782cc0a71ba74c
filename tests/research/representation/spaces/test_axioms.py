"""What makes a space a space, and Riemannian, of every space that has a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.research.representation.spaces.base import Space, loop
from tests.research.representation.material import FULL, activations, every_space, one_hot, related, rotated, wider

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.research.representation.spaces.base import Array

SCALED = {"procrustes", "procrustes-all", "shape-0.5", "stress"}
"""Those that say how large activations are."""
AFFINE = {"shape-0-components-12", "angular-shape-0-components-12"}


def _pair(space: Space, units: int = FULL) -> tuple[Array, Array]:
    return space.point(activations(0, units)), space.point(related(1, 0.6, units))


def _tangent(space: Space, at: Array, seed: int, length: float) -> Array:
    direction = space.tangent(at, np.random.default_rng(seed).normal(size=at.shape))
    return direction * (length / space.inner(at, direction, direction) ** 0.5)


@every_space
def test_it_keeps_to_the_protocol(space: Space) -> None:
    assert isinstance(space, Space)
    assert hash(space) == hash(type(space)(**vars(space)))


@every_space
def test_distance_is_symmetric_and_of_a_point_to_itself_nothing(space: Space) -> None:
    a, b = _pair(space)
    assert space.distance(a, b) == pytest.approx(space.distance(b, a), rel=1e-9)
    assert space.distance(a, b) > 0.01
    assert space.distance(a, a) < 1e-9


@every_space
@pytest.mark.parametrize("units", [3, 7, FULL])
def test_rotations_translations_and_isometric_images_are_the_same_point(space: Space, units: int) -> None:
    values = activations(0, units)
    point = space.point(values)
    for copy in (rotated(values), wider(values, 50), values + 3, values[:, ::-1]):
        assert space.distance(point, space.point(copy)) < 1e-6


@every_space
@pytest.mark.parametrize("factor", [1e-30, 0.5, -3.0, 1e30])
def test_isotropic_scales_are_too_unless_it_says_how_large_activations_are(space: Space, factor: float) -> None:
    values = activations(0)
    far = space.distance(space.point(values), space.point(factor * values))
    assert far > 0.1 if space.name in SCALED else far < 1e-6


@every_space
def test_affine_maps_are_where_it_whitens(space: Space) -> None:
    values = activations(0)
    far = space.distance(space.point(values), space.point(values @ np.random.default_rng(5).normal(size=(7, 7))))
    assert far < 1e-6 if space.name in AFFINE else far > 0.01


@every_space
def test_inputs_in_another_order_are_another_point_but_alike_for_all(space: Space) -> None:
    order = np.random.default_rng(0).permutation(len(activations(0)))
    one, other = activations(0), related(1, 0.6)
    plain, mixed = ([space.point(each) for each in pair] for pair in ((one, other), (one[order], other[order])))
    assert space.distance(*mixed) == pytest.approx(space.distance(*plain), rel=1e-7)


@every_space
def test_no_way_around_is_shorter(space: Space) -> None:
    values = [activations(seed, units) for seed in range(4) for units in (2, 7, FULL)]
    values += [related(seed, share) for seed in (1, 2) for share in (0.05, 0.3, 0.6)]
    values += [one_hot(classes) for classes in (2, 5)]
    points = [space.point(each) for each in values]
    far = space.distances(points, points)
    around = (far[:, :, None] + far[None, :, :]).min(1)
    assert (far <= around + 1e-9 * far.max()).all()


@every_space
def test_distances_are_those_one_by_one(space: Space) -> None:
    points = [space.point(related(seed, share)) for seed in (1, 2) for share in (0.01, 0.4, 1.0)]
    points.append(space.point(rotated(related(2, 0.4))))
    expected = loop(space, points, list(points))
    np.testing.assert_allclose(space.distances(points, list(points)), expected, atol=1e-6)
    np.testing.assert_allclose(space.distances(points, points), expected, atol=1e-6)
    np.testing.assert_allclose(space.distances(points[:2], points[2:]), expected[:2, 2:], atol=1e-6)
    assert space.distances(points[:3], []).shape == (3, 0)


@every_space
@pytest.mark.parametrize("units", [7, FULL])
def test_a_straight_line_is_walked_evenly(space: Space, units: int) -> None:
    a, b = _pair(space, units)
    far = space.distance(a, b)
    for share in (0.0, 0.25, 0.5, 1.0):
        here = space.between(a, b, share)
        assert space.distance(a, here) == pytest.approx(share * far, abs=1e-6 * far)
        assert space.distance(here, b) == pytest.approx((1 - share) * far, abs=1e-6 * far)


@every_space
def test_both_ways_have_one_middle(space: Space) -> None:
    a, b = _pair(space)
    assert space.distance(space.between(a, b, 0.5), space.between(b, a, 0.5)) < 1e-6


@every_space
@pytest.mark.parametrize("units", [7, FULL])
def test_a_logarithm_is_as_long_as_the_way_and_leads_there(space: Space, units: int) -> None:
    a, b = _pair(space, units)
    far = space.distance(a, b)
    tangent = space.log(a, b)
    assert space.inner(a, tangent, tangent) ** 0.5 == pytest.approx(far, rel=1e-9)
    assert space.distance(space.exp(a, tangent), b) < 1e-6
    assert np.abs(space.log(a, a)).max() < 1e-9


@every_space
def test_an_exponential_is_undone_by_the_logarithm(space: Space) -> None:
    a, _ = _pair(space)
    for length in (1e-6, 1e-2):
        tangent = _tangent(space, a, 0, length)
        reached = space.exp(a, tangent)
        assert space.distance(a, reached) == pytest.approx(length, rel=1e-4)
        np.testing.assert_allclose(space.log(a, reached), tangent, atol=1e-4 * np.abs(tangent).max())


@every_space
def test_what_is_tangent_stays_so_and_logarithms_are(space: Space) -> None:
    a, b = _pair(space)
    tangent = _tangent(space, a, 1, 1.0)
    np.testing.assert_allclose(space.tangent(a, tangent), tangent, atol=1e-10 * np.abs(tangent).max())
    np.testing.assert_allclose(space.tangent(a, space.log(a, b)), space.log(a, b), atol=1e-9)


@every_space
def test_inner_products_are_bilinear_and_symmetric(space: Space) -> None:
    a, _ = _pair(space)
    one, other, third = (_tangent(space, a, seed, 1.0) for seed in range(3))
    assert space.inner(a, one, other) == pytest.approx(space.inner(a, other, one), rel=1e-9)
    both = 2 * space.inner(a, one, third) - space.inner(a, other, third)
    assert space.inner(a, 2 * one - other, third) == pytest.approx(both, abs=1e-9)
    assert abs(space.inner(a, one, other)) < 1


@every_space
@pytest.mark.parametrize(
    ("act", "which"),
    [
        (lambda space, a, b: space.distance(a, b), "distance"),
        (lambda space, a, b: space.distances([a], [b]), "distances"),
        (lambda space, a, b: space.between(a, b, 0.5), "between"),
        (lambda space, a, b: space.log(a, b), "log"),
        (lambda space, a, b: space.exp(a, b), "exp"),
        (lambda space, a, b: space.inner(a, a, b), "inner"),
        (lambda space, a, b: space.tangent(a, b), "tangent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_points_are_left_as_they_are(space: Space, act: Callable[[Space, Array, Array], object], which: str) -> None:
    a, b = _pair(space)
    if which in {"exp", "inner"}:
        b = space.log(a, b)
    before = a.copy(), b.copy()
    act(space, a, b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


@every_space
def test_activations_are_left_as_they_are_and_may_be_float32(space: Space) -> None:
    values = activations(0)
    before = values.copy()
    point = space.point(values)
    np.testing.assert_array_equal(values, before)
    single: Any = values.astype(np.float32)
    np.testing.assert_array_equal(space.point(single), space.point(single.astype(np.float64)))
    assert point.dtype == np.float64
