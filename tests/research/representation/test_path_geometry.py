"""Paths whose geometry is known: on great circles, around corners, and back to where they began."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.representation.path import RepresentationPath, target_point
from detector.research.representation.path_geometry import PathGeometry, path_geometry
from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.research.representation.spaces.registry import space_named
from tests.research.representation.material import activations, one_hot, related

SPACE = AngularCKA()
A, B = SPACE.point(activations(0)), SPACE.point(activations(1))
FAR = SPACE.distance(A, B)


def _on_the_way(*shares: float) -> RepresentationPath:
    """Points of one great circle, B their target."""
    points = tuple(SPACE.exp(A, share * SPACE.log(A, B)) for share in shares)
    return RepresentationPath(tuple(map(str, range(len(shares)))), points, B)


def test_a_path_on_a_great_circle_is_straight_and_its_progress_linear() -> None:
    shares = (0.0, 0.1, 0.35, 0.6, 1.0)
    found = path_geometry(_on_the_way(*shares), SPACE)
    np.testing.assert_allclose(found.steps, np.diff(shares) * FAR, rtol=1e-9)
    np.testing.assert_allclose(found.to_target, (1 - np.array(shares)) * FAR, atol=1e-7)
    np.testing.assert_allclose(found.progress, shares, atol=1e-9)
    np.testing.assert_allclose(found.deviation, 0, atol=1e-7)
    np.testing.assert_allclose(found.turns, np.pi, atol=1e-6)
    np.testing.assert_allclose(found.aims, 0, atol=1e-6)
    assert found.slack == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(found.contributions, found.steps, atol=1e-7)


def test_on_a_straight_path_the_middle_lies_as_in_flat_space() -> None:
    """b on the line between a and c, off its middle: both distances to it are equal."""
    found = path_geometry(_on_the_way(0.0, 0.25, 1.0), SPACE)
    np.testing.assert_allclose(found.curvature, 0, atol=1e-7)


def test_a_way_back_turns_by_nothing_and_has_endless_slack() -> None:
    found = path_geometry(_on_the_way(0.2, 0.7, 0.2), SPACE)
    np.testing.assert_allclose(found.turns, 0, atol=1e-6)
    assert found.slack == float("inf")
    assert found.aims[1] == pytest.approx(np.pi, abs=1e-6)


def test_a_corner_of_a_right_angle_has_the_sides_of_a_spherical_triangle() -> None:
    towards = SPACE.log(A, B) / FAR
    across = SPACE.tangent(A, SPACE.log(A, SPACE.point(activations(2))))
    across -= SPACE.inner(A, across, towards) * towards
    across /= np.sqrt(SPACE.inner(A, across, across))
    ends = SPACE.exp(A, 0.4 * across), SPACE.exp(A, 0.5 * towards)
    found = path_geometry(RepresentationPath(("one", "corner", "other"), (ends[0], A, ends[1]), B), SPACE)
    assert found.turns[0] == pytest.approx(np.pi / 2, abs=1e-9)
    assert found.span == pytest.approx(np.arccos(np.cos(0.4) * np.cos(0.5)))  # Pythagoras on the sphere
    assert found.length == pytest.approx(0.9)
    assert found.curvature[0] > 0


def test_a_layer_that_changes_nothing_points_nowhere() -> None:
    found = path_geometry(_on_the_way(0.0, 0.5, 0.5, 1.0), SPACE)
    assert np.isnan(found.turns).all()
    assert np.isnan(found.aims).tolist() == [False, True, False]
    assert found.slack == pytest.approx(1)


@pytest.mark.parametrize("name", ["procrustes", "angular-procrustes", "stress", "riemannian"])
def test_paths_have_a_geometry_in_every_kind_of_space(name: str) -> None:
    space = space_named(name)
    points = tuple(space.point(related(seed, 0.1 * seed)) for seed in range(1, 5))
    found = path_geometry(RepresentationPath(tuple("abcd"), points, space.point(one_hot(5))), space)
    assert found.slack >= 1
    assert all(np.isfinite(value).all() for value in found.arrays().values())


def test_geometry_goes_into_arrays_and_comes_back() -> None:
    found = path_geometry(_on_the_way(0.0, 0.3, 1.0), SPACE)
    stacked = {name: np.stack([value, value]) for name, value in found.arrays().items()}
    back = PathGeometry.from_arrays(stacked, 1)
    assert back.length == found.length
    np.testing.assert_array_equal(back.progress, found.progress)


def test_paths_that_are_none_are_refused() -> None:
    with pytest.raises(AnalysisError, match="not of the same images"):
        RepresentationPath(("one", "other"), (A, SPACE.point(activations(1, inputs=20))), B)
    with pytest.raises(AnalysisError, match="two points or more"):
        RepresentationPath(("one",), (A,), B)
    with pytest.raises(AnalysisError, match="a name of its own"):
        RepresentationPath(("one", "one"), (A, B), B)
    with pytest.raises(AnalysisError, match="a line needs two points"):
        path_geometry(RepresentationPath(("one", "other"), (B, A), B), SPACE)


def test_targets_of_one_class_are_refused() -> None:
    with pytest.raises(AnalysisError, match="target: angular-cka: activations are the same for every input"):
        target_point(np.zeros(30, np.int64), 10, SPACE)


def test_a_target_is_the_one_hot_classes() -> None:
    labels = np.arange(30) % 5
    np.testing.assert_allclose(target_point(labels, 5, SPACE), SPACE.point(one_hot(5)))
