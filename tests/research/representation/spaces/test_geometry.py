"""Angles, projections, curvature and means, of every space that has a name and of one without tangents."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.research.representation.spaces.base import LengthSpace, Space, loop
from detector.research.representation.spaces.geometry import alexandrov_curvature, angle, angle_by_sides, project
from detector.research.representation.spaces.kinds import SpaceKind
from detector.research.representation.spaces.means import frechet_mean
from detector.research.representation.spaces.registry import SPACES, space_named
from detector.research.representation.spaces.stress import Stress
from tests.research.representation.material import FULL, activations, every_space, one_hot, related

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array


class Tangentless:
    """Stress, of which nothing is known but distances and lines."""

    name = "tangentless"
    _flat = Stress()

    def point(self, activations: Array) -> Array:
        return self._flat.point(activations)

    def distance(self, a: Array, b: Array) -> float:
        return self._flat.distance(a, b)

    def distances(self, a: Sequence[Array], b: Sequence[Array]) -> Array:
        return loop(self, a, b)

    def between(self, a: Array, b: Array, share: float) -> Array:
        return self._flat.between(a, b, share)


def _points(space: LengthSpace, units: int = FULL) -> list[Array]:
    return [space.point(each) for each in (activations(0, units), related(1, 0.6, units), related(2, 0.5, units))]


@every_space
@pytest.mark.parametrize("units", [7, FULL])
def test_the_angle_in_the_middle_of_a_line_is_straight_and_back_is_none(space: Space, units: int) -> None:
    a, b, _ = _points(space, units)
    middle = space.between(a, b, 0.5)
    assert angle(space, middle, a, b) == pytest.approx(np.pi, abs=1e-5)
    assert angle(space, a, middle, b) == pytest.approx(0, abs=1e-5)


@every_space
@pytest.mark.parametrize("units", [7, FULL])
def test_angles_by_tangents_and_by_sides_are_one(space: Space, units: int) -> None:
    a, b, c = _points(space, units)
    for corner, one, other in ((a, b, c), (b, a, c), (c, a, b)):
        assert angle(space, corner, one, other) == pytest.approx(angle_by_sides(space, corner, one, other), abs=5e-3)


@every_space
def test_they_are_also_at_the_edge_of_the_space(space: Space) -> None:
    """A layer of two units lacks almost every direction that the wider ones go to, and targets of classes most."""
    for values in (activations(3, 2), one_hot(3)):
        corner, ends = space.point(values), [space.point(activations(seed, FULL)) for seed in (1, 2)]
        assert angle(space, corner, *ends) == pytest.approx(angle_by_sides(space, corner, *ends), abs=2e-2)


@every_space
def test_no_nearby_point_of_the_line_is_nearer_than_the_projection(space: Space) -> None:
    a, b, c = _points(space)
    found = project(space, a, b, c)
    assert found.deviation == pytest.approx(space.distance(found.point, c), rel=1e-12)
    assert space.distance(found.point, space.between(a, b, found.progress)) < 1e-6
    for away in (-0.2, -1e-2, -1e-3, 1e-3, 1e-2, 0.2):
        assert space.distance(space.between(a, b, found.progress + away), c) > found.deviation
    for end in (a, b):
        assert angle(space, found.point, end, c) == pytest.approx(np.pi / 2, abs=1e-5)


@every_space
def test_nor_is_any_between_the_ends_where_the_line_leads_to_targets_of_classes(space: Space) -> None:
    """These lack rank, so that lines turn there, and on angular shapes a line comes back to where it began."""
    values = [activations(0, FULL), related(1, 0.6, FULL), related(2, 0.5, 5)]
    a, *others = (space.point(each) for each in values)
    b = space.point(one_hot(6))
    line = [space.between(a, b, share) for share in np.linspace(0, 1, 21)]
    for point in others:
        found = project(space, a, b, point)
        assert found.deviation <= min(space.distance(here, point) for here in line) + 1e-9
        assert abs(found.progress) < 2


@every_space
@pytest.mark.parametrize("progress", [-0.3, 0.0, 0.3, 0.5, 1.0, 1.2])
def test_a_point_of_the_line_is_its_own_projection(space: Space, progress: float) -> None:
    a, b, _ = _points(space)
    found = project(space, a, b, space.exp(a, progress * space.log(a, b)))
    assert found.progress == pytest.approx(progress, abs=1e-5)
    assert found.deviation < 1e-5


def test_on_a_sphere_projection_is_that_of_vectors() -> None:
    """methods.md D.3, in the entries of the matrices."""
    space = space_named("angular-cka")
    a, b, c = _points(space)
    u = (b - np.vdot(a, b) * a) / np.linalg.norm(b - np.vdot(a, b) * a)
    along = float(np.arctan2(np.vdot(c, u), np.vdot(c, a)))
    found = project(space, a, b, c)
    assert found.progress == pytest.approx(along / float(np.arccos(np.vdot(a, b))), rel=1e-9)
    np.testing.assert_allclose(found.point, np.cos(along) * a + np.sin(along) * u, atol=1e-12)
    assert np.sin(found.deviation) == pytest.approx(np.linalg.norm(c - np.vdot(c, a) * a - np.vdot(c, u) * u))


@every_space
def test_curvature_has_the_sign_that_is_known(space: Space) -> None:
    values = [related(seed, 0.7, FULL) for seed in range(1, 6)]
    bent = [alexandrov_curvature(space, *map(space.point, triple)) for triple in combinations(values, 3)]
    if space.name.startswith("stress"):
        np.testing.assert_allclose(bent, 0, atol=1e-9)
    elif space.name.startswith("riemannian"):
        assert max(bent) < 1e-9
        assert space.name != "riemannian" or min(bent) < -1e-3
    else:
        assert min(bent) > -1e-9
        assert max(bent) > 1e-3


def test_curvature_of_a_right_angled_triangle_on_a_sphere() -> None:
    """All sides pi / 2: the middle of one is pi / 2 from the opposite corner, in a plane it would be 3^(1/2) pi / 4."""
    space = space_named("angular-cka")
    corners = []
    for place in range(3):
        corner = np.zeros((4, 4))
        corner[0, place + 1] = corner[place + 1, 0] = 0.5**0.5
        corners.append(corner)
    assert alexandrov_curvature(space, *corners) == pytest.approx(np.pi / 2 - 3**0.5 * np.pi / 4)
    assert angle(space, *corners) == pytest.approx(np.pi / 2)


@every_space
def test_the_mean_of_two_points_is_their_middle(space: Space) -> None:
    a, b, _ = _points(space)
    assert space.distance(frechet_mean(space, [a, b]), space.between(a, b, 0.5)) < 1e-5 * space.distance(a, b)
    third = frechet_mean(space, [a, b], weights=[2, 1])
    assert space.distance(third, space.between(a, b, 1 / 3)) < 1e-5 * space.distance(a, b)


@every_space
def test_no_nearby_point_has_smaller_squared_distances_than_the_mean(space: Space) -> None:
    points = _points(space)
    mean = frechet_mean(space, points)

    def squares(at: Array) -> float:
        return sum(space.distance(at, point) ** 2 for point in points)

    least = squares(mean)
    for end in points:
        for share in (1e-2, 0.2, 1.0):
            assert squares(space.between(mean, end, share)) > least
    other = frechet_mean(space, points[::-1])
    assert space.distance(mean, other) < 1e-4 * space.distance(*points[:2])


@every_space
def test_the_mean_of_one_point_is_the_point(space: Space) -> None:
    a, _, _ = _points(space)
    assert space.distance(frechet_mean(space, [a, a, a]), a) < 1e-9


@every_space
def test_the_mean_of_layers_that_lack_rank_settles_in_few_steps(space: Space) -> None:
    """Steps of the whole mean tangent swing from side to side where the space is curved downwards."""
    points = [space.point(related(seed, 0.6)) for seed in range(1, 7)]
    mean = frechet_mean(space, points, most_steps=120)
    tangents = [space.log(mean, point) for point in points]
    whole = np.sum(tangents, 0) / len(points)
    spread = sum(space.distance(mean, point) ** 2 for point in points) / len(points)
    assert space.inner(mean, whole, whole) ** 0.5 < 1e-6 * spread**0.5


def test_the_mean_where_it_is_flat_is_that_of_numbers() -> None:
    space = Stress()
    points = _points(space)
    np.testing.assert_allclose(frechet_mean(space, points), np.mean(points, 0), rtol=1e-9)


def test_a_space_without_tangents_has_the_same_angles_and_projects_between_the_ends() -> None:
    bare, flat = Tangentless(), Stress()
    assert isinstance(bare, LengthSpace)
    assert not isinstance(bare, Space)
    a, b, c = (flat.point(each) for each in (activations(0), activations(1), related(1, 0.5)))
    assert angle(bare, a, b, c) == pytest.approx(angle(flat, a, b, c), abs=1e-6)
    expected, found = project(flat, a, b, c), project(bare, a, b, c)
    assert found.progress == pytest.approx(expected.progress, abs=1e-6)
    assert found.deviation == pytest.approx(expected.deviation, abs=1e-9)
    assert project(bare, a, b, flat.between(a, b, 1.7)).progress == pytest.approx(1, abs=1e-6)


def test_names_are_those_of_the_spaces() -> None:
    assert {kind: space.name for kind, space in SPACES.items()} == {kind: kind.value for kind in SpaceKind}
    assert all(space_named(kind.value) is SPACES[kind] for kind in SpaceKind)
