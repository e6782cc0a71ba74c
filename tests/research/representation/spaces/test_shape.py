"""Shape metrics against SciPy's Procrustes analysis, against every rotation of a plane, and against their definition.

netrep, which the method's authors use, is on no registry that this project installs from.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, solve_sylvester
from scipy.spatial import procrustes

from detector.research.representation.spaces.registry import space_named
from detector.research.representation.spaces.shape import Shape
from tests.research.representation.material import FULL, activations, one_hot, related, rotated

ANGULAR = Shape(angular=True)


def _far(space: Shape, one: np.ndarray, other: np.ndarray) -> float:
    return space.distance(space.point(one), space.point(other))


@pytest.mark.parametrize(("units", "others"), [(7, 7), (7, 3), (20, 9)])
def test_the_angular_distance_is_scipys_disparity(units: int, others: int) -> None:
    """SciPy also finds the best scale: what it leaves of unit squares is the squared sine of the angle."""
    one, other = activations(0, units), activations(1, others)
    padded = np.pad(other, ((0, 0), (0, units - others)))
    _, _, disparity = procrustes(one, padded)
    assert np.sin(_far(ANGULAR, one, other)) ** 2 == pytest.approx(disparity, abs=1e-12)


@pytest.mark.parametrize("units", [5, FULL])
def test_the_euclidean_distance_is_the_least_that_scipys_rotation_leaves(units: int) -> None:
    one, other = (values - values.mean(0) for values in (activations(0, units), activations(1, units)))
    rotation, _ = orthogonal_procrustes(other, one)
    expected = float(np.linalg.norm(one - other @ rotation))
    assert _far(Shape(components=None), one, other) == pytest.approx(expected, rel=1e-9)


def test_no_rotation_of_a_plane_brings_them_closer() -> None:
    one, other = (values - values.mean(0) for values in (activations(0, 2), activations(1, 2)))
    turns = np.linspace(0, 2 * np.pi, 20_001)
    left = []
    for mirror in (1, -1):
        rotations = np.stack([[np.cos(turns), -np.sin(turns)], [mirror * np.sin(turns), mirror * np.cos(turns)]])
        moved = np.einsum("iu,uvt->tiv", other, rotations)
        left.append(float(np.linalg.norm(one - moved, axis=(1, 2)).min()))
    assert _far(Shape(), one, other) == pytest.approx(min(left), rel=1e-7)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("units", [3, 10])
def test_whitening_is_that_of_the_definition(alpha: float, units: int) -> None:
    values = activations(0, units)
    level = values - values.mean(0)
    variances, directions = np.linalg.eigh(level.T @ level / len(level))
    expected = level @ directions @ np.diag(alpha + (1 - alpha) * variances**-0.5) @ directions.T
    point = Shape(alpha).point(values)
    np.testing.assert_allclose(point @ point.T, expected @ expected.T, atol=1e-9)


def test_whitened_points_have_the_same_variance_in_every_direction_they_have() -> None:
    point = Shape(0).point(activations(0, 5))
    np.testing.assert_allclose(
        point.T @ point / len(point), np.diag([1.0] * 5 + [0.0] * (point.shape[1] - 5)), atol=1e-9
    )


def test_whitened_layers_of_as_many_units_as_inputs_are_all_one_point() -> None:
    for name in ("shape-0", "angular-shape-0"):
        space = space_named(name)
        assert space.distance(space.point(activations(0, FULL)), space.point(activations(1, FULL))) < 1e-6


def test_too_many_components_find_anything_alike() -> None:
    """Why fewer are kept than inputs: layers that share nothing come closer with every component."""
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 60, 200))
    far = [_far(Shape(angular=True, components=count), one, other) for count in (3, 10, 59)]
    assert far[0] > far[1] > far[2]
    assert far[0] > 1.1
    assert far[2] < 0.7


def test_components_are_those_of_most_variance() -> None:
    values = activations(0, 9)
    level = values - values.mean(0)
    _, lengths, rows = np.linalg.svd(level, full_matrices=False)
    point = Shape(components=4).point(values)
    np.testing.assert_allclose(np.abs(point), np.abs(level @ rows[:4].T), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(point, axis=0), lengths[:4])


def test_all_components_are_no_more_than_one_less_than_the_inputs() -> None:
    wide = activations(0, FULL)
    point = Shape(components=None).point(wide)
    level = wide - wide.mean(0)
    assert point.shape == (30, 29)
    np.testing.assert_allclose(point @ point.T, level @ level.T, atol=1e-8)


@pytest.mark.parametrize("angular", [False, True])
def test_tangents_are_horizontal_and_agree_with_scipys_sylvester(angular: bool) -> None:  # noqa: FBT001 - a parameter of the test
    space = Shape(angular=angular, components=12)
    a = space.point(activations(0, FULL))
    direction = np.random.default_rng(3).normal(size=a.shape)
    level = direction - direction.mean(0)
    if angular:
        level -= np.vdot(a, level) * a
    skew = solve_sylvester(a.T @ a, a.T @ a, a.T @ level - level.T @ a)
    horizontal = space.tangent(a, direction)
    np.testing.assert_allclose(horizontal, level - a @ skew, atol=1e-9)
    np.testing.assert_allclose(a.T @ horizontal, horizontal.T @ a, atol=1e-9)
    assert abs(np.vdot(horizontal, a @ (skew - skew.T))) < 1e-9


def test_a_turn_moves_nothing() -> None:
    space = Shape(components=12)
    a = space.point(activations(0, FULL))
    skew = np.triu(np.random.default_rng(0).normal(size=(12, 12)), 1)
    assert np.abs(space.tangent(a, a @ (skew - skew.T))).max() < 1e-9


def test_logarithms_are_horizontal_also_where_rank_is_lacking() -> None:
    space = Shape()
    for values in (activations(0, 3), one_hot(4), activations(0, FULL)):
        a = space.point(values)
        product = a.T @ space.log(a, space.point(activations(1, FULL)))
        np.testing.assert_allclose(product, product.T, atol=1e-8)


def test_layers_of_other_widths_are_filled_up() -> None:
    space = Shape()
    narrow, wide = activations(0, 3), np.pad(activations(0, 3), ((0, 0), (2, 30)))
    assert _far(space, narrow, wide) < 1e-6
    assert _far(space, narrow, related(1, 0.5, 20)[:, :3]) > 0.1


def test_partly_whitened_angular_shapes_do_not_say_how_large_activations_are() -> None:
    values = activations(0)
    for alpha in (0.0, 0.2, 0.9):
        assert _far(Shape(alpha, angular=True), values, 7 * rotated(values)) < 1e-6


def test_names_say_the_options() -> None:
    assert Shape(0.25, angular=True, components=None).name == "angular-shape-0.25-all"
    assert Shape(components=7).name == "procrustes-components-7"
