"""Bypasses: the theorems of the projection, and what the optimisation promises."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.descent import mean_variation
from detector.paths.bypass import BypassOptions, bypass, onto_boxed_hyperplane
from tests.support.tiny import TINY_SPEC, tiny_torch
from tests.support.walking import random_pairs

if TYPE_CHECKING:
    from detector.paths.pairing import Pairs

QUICK = BypassOptions(steps=40, learning_rate=0.01, stop_loss=0)


def _barrier_points(pairs: Pairs) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (np.float32(0.5) * (pairs.starts + pairs.ends)).astype(np.float32)


def _off_the_hyperplane(points: torch.Tensor, fixed: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """The cosine between what was moved and the hyperplane's normal."""
    moved, across = (points - fixed).double().flatten(1), across.double().flatten(1)
    return (moved * across).sum(1).abs() / (moved.norm(dim=1) * across.norm(dim=1))


@pytest.mark.parametrize("within_box", [True, False], ids=["within the box", "anywhere"])
@pytest.mark.parametrize("seed", [0, 1])
def test_points_stay_on_the_hyperplane_and_their_loss_never_rises(seed: int, *, within_box: bool) -> None:
    classifier, pairs = tiny_torch(), random_pairs(40, seed)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    options = dataclasses.replace(QUICK, within_box=within_box)
    found = bypass(classifier, fixed, across, pairs.classes, options)
    off = _off_the_hyperplane(torch.tensor(found.points), torch.tensor(fixed), torch.tensor(across))
    assert off.max() < 1e-5
    before = _losses(fixed, pairs)
    assert (found.losses <= before).all()
    assert found.losses.mean() < 0.3 * before.mean()
    np.testing.assert_allclose(found.losses, _losses(found.points, pairs), atol=1e-5)
    inside = (found.points.min(), found.points.max())
    assert (inside[0] >= 0 and inside[1] <= 1) == within_box  # noise is so near the box's sides that free points leave


def test_without_the_projection_points_leave_the_hyperplane() -> None:
    pairs = random_pairs(10)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    found = bypass(tiny_torch(), fixed, across, pairs.classes, dataclasses.replace(QUICK, on_hyperplane=False))
    off = _off_the_hyperplane(torch.tensor(found.points), torch.tensor(fixed), torch.tensor(across))
    assert off.max() > 1e-3


@pytest.mark.parametrize("reach", [0.01, 0.3, 5.0])
def test_the_projection_is_the_nearest_point(reach: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(10):
        fixed, other = rng.random((2, 6))
        across, far = other - fixed, fixed + reach * rng.standard_normal(6)
        mine = _projected(far, fixed, across)
        np.testing.assert_allclose(mine, _nearest_of_all(far, fixed, across), atol=2e-5)


@pytest.mark.parametrize("reach", [1e-4, 0.005, 1.0, 100.0])
def test_the_projection_fulfils_the_conditions_of_the_nearest_point(reach: float) -> None:
    """Karush, Kuhn and Tucker: what is taken off is one multiple of the normal, but for pixels held at the box."""
    generator = torch.Generator().manual_seed(5)
    fixed, other = torch.rand(2, 20, 3, 16, 16, generator=generator)
    across = other - fixed
    far = fixed + reach * torch.randn(fixed.shape, generator=generator)
    placed = onto_boxed_hyperplane(far, fixed, across)
    assert placed.min() >= 0
    assert placed.max() <= 1
    rounding = 2e-7 / (placed - fixed).flatten(1).norm(dim=1)  # of float32 pixels, which short moves feel
    assert (_off_the_hyperplane(placed, fixed, across) < 1e-5 + rounding).all()
    for x, z, v in zip(far.double(), placed.double(), across.double(), strict=True):
        free = (z > 0) & (z < 1)
        assert free.any()
        multiplier = ((x - z)[free] * v[free]).sum() / v[free].square().sum()
        slack = 1e-6 * (1 + reach)
        assert ((x - z)[free] - multiplier * v[free]).abs().max() < slack
        rest = x - multiplier * v
        assert (rest[z == 0] <= slack).all()
        assert (rest[z == 1] >= 1 - slack).all()


def test_a_point_that_is_allowed_stays() -> None:
    generator = torch.Generator().manual_seed(6)
    fixed, other = torch.rand(2, 8, 3, 4, 4, generator=generator)
    torch.testing.assert_close(onto_boxed_hyperplane(fixed, fixed, other - fixed), fixed, rtol=0, atol=0)


def test_a_path_of_no_length_has_no_hyperplane_but_a_box() -> None:
    generator = torch.Generator().manual_seed(7)
    fixed = torch.rand(4, 3, 4, 4, generator=generator)
    far = fixed + torch.randn(fixed.shape, generator=generator)
    torch.testing.assert_close(onto_boxed_hyperplane(far, fixed, torch.zeros_like(fixed)), far.clamp(0, 1))


def test_what_is_no_number_ends_no_other_search() -> None:
    generator = torch.Generator().manual_seed(8)
    fixed, other = torch.rand(2, 3, 3, 4, 4, generator=generator)
    far = fixed + torch.randn(fixed.shape, generator=generator)
    alone = onto_boxed_hyperplane(far[1:], fixed[1:], (other - fixed)[1:])
    far[0, 0, 0, 0] = torch.nan
    beside = onto_boxed_hyperplane(far, fixed, other - fixed)
    torch.testing.assert_close(beside[1:], alone)


@pytest.mark.parametrize("stop_loss", [0.0, 0.05])
def test_points_do_not_depend_on_who_else_is_moved(stop_loss: float) -> None:
    pairs = random_pairs(12)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    options = dataclasses.replace(QUICK, steps=15, stop_loss=stop_loss)
    together = bypass(tiny_torch(), fixed, across, pairs.classes, options)
    for row in (0, 5, 11):
        one = slice(row, row + 1)
        alone = bypass(tiny_torch(), fixed[one], across[one], pairs.classes[one], options)
        np.testing.assert_allclose(alone.points[0], together.points[row], atol=1e-3)
        np.testing.assert_allclose(alone.losses[0], together.losses[row], atol=1e-3)
        assert alone.steps[0] == together.steps[row]


def test_many_points_are_moved_in_batches() -> None:
    pairs = random_pairs(130)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    told: list[int] = []
    found = bypass(tiny_torch(), fixed, across, pairs.classes, dataclasses.replace(QUICK, steps=3), on_step=told.append)
    assert found.points.shape == fixed.shape
    assert (found.losses <= _losses(fixed, pairs)).all()
    assert sum(told) == 2 * 3


def test_settled_points_stop_and_the_others_go_on_as_before() -> None:
    pairs = random_pairs(40)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    full = bypass(tiny_torch(), fixed, across, pairs.classes, QUICK)
    level = float(np.median(full.losses))
    found = bypass(tiny_torch(), fixed, across, pairs.classes, dataclasses.replace(QUICK, stop_loss=level))
    settled = found.losses < level
    assert (found.steps[settled] < QUICK.steps).any()
    assert (full.steps == QUICK.steps).all()
    assert (found.steps[~settled] == QUICK.steps).all()
    np.testing.assert_allclose(found.points[~settled], full.points[~settled], atol=1e-3)


def test_nearness_keeps_points_near_and_smoothness_keeps_them_smooth() -> None:
    pairs = random_pairs(20)
    fixed, across = _barrier_points(pairs), pairs.ends - pairs.starts
    plain, near, smooth = (
        bypass(tiny_torch(), fixed, across, pairs.classes, options).points - fixed
        for options in (QUICK, dataclasses.replace(QUICK, nearness=100), dataclasses.replace(QUICK, smoothness=50))
    )
    assert np.square(near).mean() < 0.7 * np.square(plain).mean()
    assert mean_variation(torch.tensor(smooth)).mean() < 0.7 * mean_variation(torch.tensor(plain)).mean()


def test_no_point_is_moved_nowhere() -> None:
    none = np.empty((0, *TINY_SPEC.shape), np.float32)
    found = bypass(tiny_torch(), none, none, np.empty(0, np.int64), QUICK)
    assert found.points.shape == none.shape
    assert found.losses.shape == found.steps.shape == (0,)


def _nearest_of_all(
    far: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    fixed: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    across: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The slow twin: every way to hold pixels at 0 or at 1, the rest as near as the hyperplane lets them be."""
    found = []
    for held in itertools.product((0.0, 1.0, np.nan), repeat=len(far)):
        place = np.array(held)
        free = np.isnan(place)
        if free.any():
            place[free] = 0
            missing = (across * (fixed - place - free * far)).sum()
            place[free] = far[free] + missing * across[free] / (across[free] ** 2).sum()
        inside = (place > -1e-9).all() and (place < 1 + 1e-9).all()
        if inside and abs(across @ (place - fixed)) < 1e-9:
            found.append(place)
    return min(found, key=lambda place: ((place - far) ** 2).sum())


def _losses(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]], pairs: Pairs
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    logits = torch.tensor(tiny_torch().logits(images))
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(pairs.classes), reduction="none")
    return losses.numpy()


def _projected(
    far: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    fixed: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    across: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    far_, fixed_, across_ = (
        torch.tensor(given, dtype=torch.float32).reshape(1, 1, 2, 3) for given in (far, fixed, across)
    )
    return onto_boxed_hyperplane(far_, fixed_, across_).flatten().numpy()
