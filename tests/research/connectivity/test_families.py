"""Fitted shapes: known small answers in a cube, and what holds whatever the classifier."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from detector.research.connectivity.families import FitOptions, Groups, fit, lengths, measured_losses
from detector.research.connectivity.shapes import Bezier, Polyline, Shape, cone, flat_simplex, star, subdivision
from tests.support.tiny import TINY_CLASSES, TINY_SPEC, tiny_torch
from tests.support.walking import field, points

ACROSS = Groups(points((0, 0.5, 0.5), (1, 0.5, 0.5))[None], np.array([0]))
OPTIONS = FitOptions(steps=150, samples=8, learning_rate=0.02)


def _hill(x: torch.Tensor) -> torch.Tensor:
    """A hill a little off the way through the middle of the cube, that it may be passed on one side."""
    return 3 * (-((x - torch.tensor([0.5, 0.45, 0.5])) / 0.2).square().sum(1)).exp()


def _heights(
    groups: Groups, shape: Shape, options: FitOptions, loss: object = _hill
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    classifier = field(loss)  # type: ignore[arg-type] # a function of this file
    free = fit(classifier, groups, shape, options)
    return measured_losses(classifier, groups, free, shape.grid(201)).max(axis=1)


@pytest.mark.parametrize("shape", [Polyline(1), Polyline(3), Bezier()], ids=lambda shape: shape.name)
def test_curves_go_round_a_hill(shape: Polyline) -> None:
    straight = _heights(ACROSS, Polyline(0), OPTIONS)[0]
    assert straight > 2.7
    classifier = field(_hill)
    free = fit(classifier, ACROSS, shape, OPTIONS)
    grid = shape.grid(201)
    found = measured_losses(classifier, ACROSS, free, grid).max()
    assert found < 0.15 * straight
    middle = grid[100] @ np.concatenate([ACROSS.corners[0], free[0]]).reshape(-1, 3)
    assert middle[1] > 0.7  # on the side where the way was lower
    assert 1.05 < lengths(ACROSS, free, grid)[0] < 2


def test_a_control_point_lies_beyond_the_curve() -> None:
    """A Bezier curve is half as far from the straight path as its control point."""
    free = fit(field(_hill), ACROSS, Bezier(), OPTIONS)[0, 0].ravel()
    curve = Bezier().grid(3)[1] @ np.stack([*ACROSS.corners[0].reshape(2, 3), free])
    assert free[1] - 0.5 == pytest.approx(2 * (curve[1] - 0.5), rel=1e-5)


@pytest.mark.parametrize("shape", [Polyline(3), Bezier(), star(2), cone(3), subdivision(2)], ids=lambda one: one.name)
def test_a_flat_loss_moves_nothing(shape: Shape) -> None:
    corners = np.random.default_rng(0).random((4, shape.corners, 3, 1, 1)).astype(np.float32)
    groups = Groups(corners, np.zeros(4, np.int64))
    free = fit(field(lambda x: 0 * x.sum(1) + 0.5), groups, shape, OPTIONS)
    np.testing.assert_allclose(free, np.einsum("fc,gc...->gf...", shape.start(), corners), atol=1e-6)


def test_a_convex_loss_has_no_barrier_that_a_curve_could_lower() -> None:
    corners = np.random.default_rng(1).random((10, 2, 3, 1, 1)).astype(np.float32)
    groups = Groups(corners, np.zeros(10, np.int64))
    flat, bent = (
        _heights(groups, shape, OPTIONS, lambda x: (x - 0.3).square().sum(1)) for shape in (Polyline(0), Bezier())
    )
    np.testing.assert_allclose(bent, flat, rtol=1e-4)  # the higher end, in both


def test_the_soft_maximum_lowers_the_peak_where_the_mean_would_not() -> None:
    """Beside a narrow wall with a lower place far off lies broad ground whose loss grows on the way there."""

    def loss(x: torch.Tensor) -> torch.Tensor:
        wall = 2 * (-((x[:, 0] - 0.5) / 0.02).square()).exp() * (1 - x[:, 1])
        return wall + 0.4 * x[:, 1]

    mean, sharp = (
        _heights(ACROSS, Polyline(1), dataclasses.replace(OPTIONS, samples=64, sharpness=sharpness), loss)[0]
        for sharpness in (0.0, 20.0)
    )
    assert sharp < 0.75 * mean


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_inputs_around_a_hill_are_joined_through_one_point_but_not_by_the_flat_simplex(dimension: int) -> None:
    around = [(0.05, 0.3, 0.1), (0.95, 0.3, 0.1), (0.5, 0.9, 0.1), (0.5, 0.5, 0.95)][: dimension + 1]
    groups = Groups(points(*around)[None], np.array([0]))

    def loss(x: torch.Tensor) -> torch.Tensor:
        return 3 * (-((x - torch.tensor([0.5, 0.35, 0.2])) / 0.15).square().sum(1)).exp()

    flat = _heights(groups, flat_simplex(dimension), OPTIONS, loss)[0]
    assert flat > 1
    options = dataclasses.replace(OPTIONS, samples=32)
    assert _heights(groups, star(dimension), options, loss)[0] < 0.35 * flat
    assert _heights(groups, subdivision(dimension), options, loss)[0] < 0.75 * flat


def test_edges_between_corners_bound_a_cone_from_below() -> None:
    """A cone leaves the straight edges of more than two corners where they are; a subdivision bends them too."""
    groups = Groups(points((0, 0.5, 0.5), (1, 0.5, 0.5), (0.5, 0.5, 1))[None], np.array([0]))
    edge = _heights(ACROSS, Polyline(0), OPTIONS)[0]
    options = dataclasses.replace(OPTIONS, samples=32)
    assert _heights(groups, cone(2), options)[0] >= edge - 1e-3
    assert _heights(groups, subdivision(2), options)[0] < 0.5 * edge


@pytest.mark.parametrize("shape", [Polyline(2), Bezier(), subdivision(2)], ids=lambda one: one.name)
def test_groups_are_fitted_each_for_itself_within_the_box(shape: Shape) -> None:
    rng = np.random.default_rng(2)
    groups = Groups(rng.random((70, shape.corners, *TINY_SPEC.shape), np.float32), rng.integers(0, TINY_CLASSES, 70))
    options = FitOptions(steps=5, learning_rate=0.02)
    together = fit(tiny_torch(), groups, shape, options)
    assert together.shape == (70, shape.free, *TINY_SPEC.shape)
    assert together.min() >= 0
    assert together.max() <= 1
    alone = fit(tiny_torch(), groups[np.array([40])], shape, options)
    np.testing.assert_allclose(alone[0], together[40], atol=2e-3)
    before = fit(tiny_torch(), groups, shape, FitOptions(steps=0))
    lowered = [measured_losses(tiny_torch(), groups, free, shape.grid(21)).mean() for free in (before, together)]
    assert lowered[1] < 0.9 * lowered[0]


def test_a_straight_path_is_as_long_as_itself() -> None:
    groups = Groups(np.random.default_rng(3).random((5, 2, *TINY_SPEC.shape), np.float32), np.zeros(5, np.int64))
    free = fit(tiny_torch(), groups, Polyline(2), FitOptions(steps=0))
    np.testing.assert_allclose(lengths(groups, free, Polyline(2).grid(31)), 1, rtol=1e-4)
