"""Loss along straight paths: theorems on random pairs, a slow twin, and known answers."""

from __future__ import annotations

import numpy as np
import pytest

from detector.paths.curves import LossCurves, loss_curves
from tests.support.tiny import tiny_torch
from tests.support.walking import field, points, random_pairs


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gaps_are_not_negative_and_the_way_back_is_as_high(seed: int) -> None:
    pairs = random_pairs(30, seed)
    there = loss_curves(tiny_torch(), pairs.starts, pairs.ends, pairs.classes, points=21)
    back = loss_curves(tiny_torch(), pairs.ends, pairs.starts, pairs.classes, points=21)
    assert (there.gaps >= 0).all()
    assert (there.gaps > 0.01).any()
    np.testing.assert_allclose(back.losses, there.losses[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(back.heights, there.heights, atol=1e-5)
    np.testing.assert_allclose(back.areas, there.areas, atol=1e-5)


def test_a_path_from_an_image_to_itself_has_no_gap() -> None:
    pairs = random_pairs(5)
    curves = loss_curves(tiny_torch(), pairs.starts, pairs.starts, pairs.classes, points=9)
    np.testing.assert_allclose(curves.gaps, 0, atol=1e-5)
    np.testing.assert_allclose(curves.areas, curves.heights, atol=1e-5)


def test_losses_are_those_of_one_point_at_a_time() -> None:
    classifier, pairs = tiny_torch(), random_pairs(130)  # more points than are asked about at once
    told: list[int] = []
    curves = loss_curves(classifier, pairs.starts, pairs.ends, pairs.classes, points=11, on_progress=told.append)
    for row in (0, 92, 93, 129):
        for place, alpha in enumerate(curves.alphas):
            point = (1 - alpha) * pairs.starts[row] + alpha * pairs.ends[row]
            logits = classifier.logits(point[None].astype(np.float32))[0].astype(float)
            slow = np.log(np.exp(logits).sum()) - logits[pairs.classes[row]]
            assert curves.losses[row, place] == pytest.approx(slow, abs=1e-5)
    assert sum(told) == 130
    assert len(told) > 1


def test_a_barrier_is_described_by_known_numbers() -> None:
    losses = np.array([[0.5, 1.5, 2.5, 2.5, 0.25], [2, 1, 0, 0, 0]], np.float32)
    curves = LossCurves(np.linspace(0, 1, 5), losses)
    np.testing.assert_allclose(curves.heights, [2.5, 2])
    np.testing.assert_allclose(curves.ends, [0.5, 2])
    np.testing.assert_allclose(curves.gaps, [2, 0])
    np.testing.assert_allclose(curves.positions, [0.5, 0])  # the first of equally high ones
    np.testing.assert_allclose(curves.areas, [(0.25 + 1.5 + 2.5 + 2.5 + 0.125) / 4, 0.5])


def test_a_convex_loss_has_no_barrier() -> None:
    classifier = field(lambda x: (x - 0.4).square().sum(1))
    rng = np.random.default_rng(0)
    starts, ends = rng.random((2, 50, 3, 1, 1), np.float32)
    curves = loss_curves(classifier, starts, ends, np.zeros(50, np.int64), points=31)
    np.testing.assert_allclose(curves.gaps, 0, atol=1e-5)


def test_a_hill_on_the_way_is_a_barrier_of_its_height_at_its_place() -> None:
    classifier = field(lambda x: 3 * (-((x[:, 0] - 0.3) / 0.1).square()).exp())
    curves = loss_curves(classifier, points((0, 0.5, 0.5)), points((1, 0.5, 0.5)), np.array([0]), points=101)
    assert curves.heights[0] == pytest.approx(3, rel=1e-4)
    assert curves.positions[0] == pytest.approx(0.3)


def test_no_pair_gives_no_curve() -> None:
    pairs = random_pairs(3)[:0]
    curves = loss_curves(tiny_torch(), pairs.starts, pairs.ends, pairs.classes, points=5)
    assert curves.losses.shape == (0, 5)
    assert curves.heights.shape == curves.gaps.shape == curves.areas.shape == (0,)
