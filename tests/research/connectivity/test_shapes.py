"""Shapes: what their weights add up to, where they start, and how they are cut into parts."""

from __future__ import annotations

from itertools import combinations
from math import comb, factorial

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.connectivity.shapes import Bezier, Polyline, cone, flat_simplex, star, subdivision

CURVES = [Polyline(0), Polyline(1), Polyline(3), Bezier(1), Bezier(2)]
SIMPLEXES = [make(dimension) for make in (flat_simplex, star, cone, subdivision) for dimension in (1, 2, 3, 4)]


@pytest.mark.parametrize("shape", [*CURVES, *SIMPLEXES], ids=lambda shape: f"{shape.name}, {shape.corners} corners")
def test_weights_are_those_of_means(shape: Polyline) -> None:
    rng = np.random.default_rng(0)
    for weights in (shape.draw(rng, 37), shape.grid(21)):
        assert weights.shape[1] == shape.corners + shape.free
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert len(shape.draw(rng, 37)) == 37
    np.testing.assert_array_equal(shape.grid(21), shape.grid(21))
    assert not np.array_equal(shape.draw(rng, 37), shape.draw(rng, 37))
    start = shape.start()
    assert start.shape == (shape.free, shape.corners)
    np.testing.assert_allclose(start.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_curves_lead_from_end_to_end_and_begin_as_the_straight_path(curve: Polyline) -> None:
    ends = np.array([[0.0, 1.0], [2.0, -3.0]])
    points = np.concatenate([ends, curve.start() @ ends])
    on_curve = curve.grid(11) @ points
    straight = np.linspace(0, 1, 11)[:, None] * (ends[1] - ends[0]) + ends[0]
    np.testing.assert_allclose(on_curve, straight, atol=1e-6)


def test_a_polyline_passes_through_its_points_and_a_bezier_through_half_of_its_own() -> None:
    ends, between = np.array([[0.0, 0], [1, 0]]), np.array([[0.5, 1.0]])
    tent = np.array([(0, 0), (0.25, 0.5), (0.5, 1), (0.75, 0.5), (1, 0)])
    np.testing.assert_allclose(Polyline(1).grid(5) @ np.concatenate([ends, between]), tent)
    np.testing.assert_allclose((Bezier().grid(5) @ np.concatenate([ends, between]))[2], [0.5, 0.5])


def test_draws_on_a_curve_are_spread_over_all_of_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        places = Polyline(0).draw(rng, 8)[:, 1]
        assert (np.floor(places * 8) == np.arange(8)).all()


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_simplexes_have_as_many_parts_as_geometry_says(dimension: int) -> None:
    corners = dimension + 1
    assert len(flat_simplex(dimension).simplexes) == 1
    assert len(star(dimension).simplexes) == len(cone(dimension).simplexes) == corners
    parts = subdivision(dimension)
    assert parts.free == 2**corners - 1 - corners
    assert len(set(parts.simplexes)) == factorial(corners)
    edges = {pair for one in parts.simplexes for pair in combinations(sorted(one), 2)}
    assert not any(max(pair) < corners for pair in edges)  # no two corners are joined but through a free point
    assert len(flat_simplex(dimension).grid(0)) == corners + comb(corners, 2)


def test_of_two_corners_star_cone_and_subdivision_are_one_polyline() -> None:
    points = np.random.default_rng(2).random((3, 5))
    polyline = Polyline(1).grid(2001) @ points
    for shape in (star(1), cone(1), subdivision(1)):
        assert shape.corners == 2
        np.testing.assert_allclose(shape.start(), Polyline(1).start())
        drawn = shape.draw(np.random.default_rng(3), 50) @ points
        assert np.abs(drawn[:, None] - polyline).max(axis=2).min(axis=1).max() < 1e-3


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_subdivided_simplex_begins_as_all_of_the_flat_one(dimension: int) -> None:
    """As many points of it lie in every part of the flat simplex as its size asks for."""
    shape = subdivision(dimension)
    whole = np.concatenate([np.eye(dimension + 1), shape.start()])
    drawn = shape.draw(np.random.default_rng(4), 12_000) @ whole  # weights of corners alone
    fair = np.random.default_rng(5).dirichlet(np.ones(dimension + 1), 12_000)
    np.testing.assert_allclose(np.sort(drawn, axis=1).mean(axis=0), np.sort(fair, axis=1).mean(axis=0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(fair.T), atol=0.003)


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (Polyline, -1),
        (Polyline, 9),
        (Bezier, 0),
        (Bezier, 9),
        (flat_simplex, 0),
        (star, 5),
        (cone, 0),
        (subdivision, 5),
    ],
)
def test_shapes_out_of_range_are_refused(make: type[Polyline], number: int) -> None:
    with pytest.raises(AnalysisError, match=f"not {number}"):
        make(number)
