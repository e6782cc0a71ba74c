"""Maps: distances that a plane or a sphere can hold come back, and points that lie on a line stay on one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from detector.errors import AnalysisError
from detector.research.representation.plotting import azimuthal, flat_map, plane_map, principal_map, sphere_map
from detector.research.representation.spaces.angular_cka import AngularCKA
from tests.research.representation.material import activations

SPACE = AngularCKA()


def _on_sphere(count: int, seed: int = 0, spread: float = 1.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    points = np.array([0, 0, 1]) + spread * np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _angles(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return squareform(2 * np.arcsin(np.clip(pdist(points) / 2, 0, 1)))


def test_a_plane_keeps_distances_that_are_a_planes() -> None:
    points = np.random.default_rng(0).normal(size=(9, 2)) * [3, 1]
    distances = squareform(pdist(points))
    found = flat_map(distances)
    np.testing.assert_allclose(squareform(pdist(found)), distances, atol=1e-9)
    assert found[:, 0].std() > found[:, 1].std()
    assert (found[-1] >= 0).all()


def test_a_sphere_keeps_angles_that_are_a_spheres() -> None:
    distances = _angles(_on_sphere(12))
    found = sphere_map(distances)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(_angles(found), distances, atol=2e-3)


def test_a_sphere_holds_points_of_more_dimensions_better_than_its_start_does() -> None:
    points = [SPACE.point(activations(seed)) for seed in range(8)]
    distances = SPACE.distances(points, points)
    values, vectors = np.linalg.eigh(np.cos(distances))
    start = vectors[:, :-4:-1] * np.sqrt(np.maximum(values[:-4:-1], 1e-9))
    start /= np.linalg.norm(start, axis=1, keepdims=True)

    def stress(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
        return float(((_angles(points) - distances) ** 2).sum())

    assert stress(sphere_map(distances)) < 0.9 * stress(start)


def test_a_map_of_a_sphere_keeps_angles_from_its_middle_and_great_circles_through_it() -> None:
    points = _on_sphere(10, spread=0.3)
    pole = points.mean(0) / np.linalg.norm(points.mean(0))
    found = azimuthal(points)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.arccos(points @ pole), atol=1e-7)
    circle = np.stack([np.sin(shares := np.linspace(-0.5, 0.5, 7)), np.zeros(7), np.cos(shares)], axis=1)
    laid = azimuthal(circle)
    np.testing.assert_allclose(laid[:, 1], 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(laid[:, 0]), 1 / 6, atol=1e-9)


def test_points_on_a_great_circle_have_one_principal_component_in_their_order() -> None:
    a, b = (SPACE.point(activations(seed)) for seed in (0, 1))
    shares = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    found, parts = principal_map([SPACE.exp(a, share * SPACE.log(a, b)) for share in shares], SPACE)
    assert parts[0] == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(np.abs(np.diff(found[:, 0])), np.diff(shares) * SPACE.distance(a, b), rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-6)


def test_a_space_that_is_a_sphere_is_drawn_by_way_of_one() -> None:
    distances = _angles(_on_sphere(6))
    np.testing.assert_array_equal(plane_map(distances, 1.0), azimuthal(sphere_map(distances)))
    np.testing.assert_array_equal(plane_map(distances, None), flat_map(distances))


@pytest.mark.parametrize(
    ("distances", "reason"),
    [
        (np.zeros((2, 2)), "three points or more"),
        (np.zeros((3, 4)), "three points or more"),
        (np.full((3, 3), np.nan), "finite"),
        (np.arange(9.0).reshape(3, 3), "symmetric"),
    ],
)
def test_what_is_no_matrix_of_distances_is_refused(
    distances: np.ndarray[tuple[int, int], np.dtype[np.float64]], reason: str
) -> None:
    for draw in (flat_map, sphere_map):
        with pytest.raises(AnalysisError, match=reason):
            draw(distances)


def test_distances_beyond_a_spheres_are_refused() -> None:
    with pytest.raises(AnalysisError, match="at most pi"):
        sphere_map(4 * (1 - np.eye(3)))
