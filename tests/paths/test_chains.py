"""Chains of bypasses: their bookkeeping against what is measured anew, and known answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, connect
from detector.paths.curves import loss_curves
from detector.paths.pairing import Pairs
from tests.support.tiny import tiny_torch
from tests.support.walking import digit_pairs, field, points, random_pairs

if TYPE_CHECKING:
    from detector.embedded import EmbeddedDefault
    from detector.paths.chains import Chains

QUICK = BypassOptions(steps=20, learning_rate=0.01)


def _tiny_chains(pairs: Pairs, options: ChainOptions) -> Chains:
    classifier = tiny_torch()
    return connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=options)


def test_a_segment_of_a_later_round_has_fewer_points_but_never_too_few() -> None:
    options = ChainOptions(points=51, segment_points=11)
    assert [options.points_of(number) for number in range(5)] == [51, 26, 13, 11, 11]


def test_waypoints_lead_from_start_to_end_across_the_barrier_point() -> None:
    pairs = random_pairs(12)
    chains = _tiny_chains(pairs, ChainOptions(epsilon=0, rounds=1, points=11, bypass=QUICK))
    assert chains.segments.tolist() == [[1, 2]] * 12
    for row, waypoints in enumerate(chains.waypoints):
        np.testing.assert_array_equal(waypoints[0], pairs.starts[row])
        np.testing.assert_array_equal(waypoints[2], pairs.ends[row])
        inner = 1 + int(chains.straight.losses[row, 1:-1].argmax())  # its barrier point is no end
        alpha = chains.straight.alphas[inner]
        barrier_point = (1 - alpha) * pairs.starts[row] + alpha * pairs.ends[row]
        moved, across = waypoints[1] - barrier_point, pairs.ends[row] - pairs.starts[row]
        assert abs((moved * across).sum()) < 1e-4 * np.linalg.norm(moved) * np.linalg.norm(across)


def test_every_segment_is_halved_where_nothing_is_low_enough() -> None:
    pairs = random_pairs(3)
    chains = _tiny_chains(pairs, ChainOptions(epsilon=0, rounds=3, points=9, segment_points=5, bypass=QUICK))
    assert chains.segments.tolist() == [[1, 2, 4, 8]] * 3
    assert [len(waypoints) for waypoints in chains.waypoints] == [9, 9, 9]


def test_heights_are_the_largest_losses_on_the_segments() -> None:
    pairs = random_pairs(6)
    chains = _tiny_chains(pairs, ChainOptions(epsilon=0, rounds=1, points=21, bypass=QUICK))
    np.testing.assert_array_equal(chains.heights[:, 0], chains.straight.heights)
    for row, waypoints in enumerate(chains.waypoints):
        label = np.array([pairs.classes[row]] * 2)
        curves = loss_curves(tiny_torch(), waypoints[:-1], waypoints[1:], label, points=11)
        assert chains.heights[row, 1] == pytest.approx(float(curves.heights.max()), abs=1e-5)


def test_low_segments_are_left_as_they_are() -> None:
    """Paths through a cube with a hill in its midst."""
    classifier, epsilon = field(lambda x: 2 * (-((x - 0.5) / 0.25).square().sum(1)).exp()), 0.5
    starts, ends = np.random.default_rng(0).random((2, 200, 3, 1, 1), np.float32)
    classes = np.zeros(200, np.int64)
    low = loss_curves(classifier, starts, ends, classes, points=11).ends < epsilon
    pairs = Pairs(starts, ends, classes)[low]
    options = ChainOptions(epsilon=epsilon, rounds=3, points=11, bypass=BypassOptions(steps=30))
    chains = connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=options)
    connected = chains.connected(epsilon)
    assert 0 < connected[:, 0].sum() < len(pairs)
    for number in range(3):
        done = connected[:, number]
        assert connected[done, number + 1].all()
        np.testing.assert_array_equal(chains.segments[done, number + 1], chains.segments[done, number])
        np.testing.assert_array_equal(chains.heights[done, number + 1], chains.heights[done, number])
        assert (chains.segments[~done, number + 1] > chains.segments[~done, number]).all()
    assert connected[:, -1].sum() > connected[:, 0].sum()


def test_real_digits_of_a_class_connect_after_one_bypass(digits: EmbeddedDefault) -> None:
    """Not a theorem: between its end and a B' of low loss a segment may be higher than the straight path was."""
    classifier, pairs = digit_pairs(digits, 60)
    chains = connect(
        classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=ChainOptions(epsilon=0, points=21)
    )
    before, after = chains.heights.T
    assert (after <= before + 1e-6).mean() > 0.9
    ends = chains.straight.ends  # which no bypass lowers
    assert (after - ends).mean() < 0.2 * (before - ends).mean()


def test_a_convex_loss_needs_no_bypass_and_no_gradients() -> None:
    classifier = field(lambda x: (x - 0.5).square().sum(1) / 100)
    starts, ends = np.random.default_rng(0).random((2, 20, 3, 1, 1), np.float32)
    options = ChainOptions(epsilon=0.1, rounds=2)
    chains = connect(classifier, classifier, starts, ends, np.zeros(20, np.int64), options=options)
    assert (chains.segments == 1).all()
    assert chains.connected(0.1).all()
    straight = connect(
        classifier, None, starts, ends, np.zeros(20, np.int64), options=ChainOptions(epsilon=0.1, rounds=0)
    )
    np.testing.assert_array_equal(straight.heights[:, 0], chains.heights[:, 0])


def test_a_wall_with_a_gap_is_passed_through_the_gap() -> None:
    """A wall across the way, whose loss falls towards one side: B' slides along it, on the hyperplane."""
    classifier = field(lambda x: 4 * (-((x[:, 0] - 0.5) / 0.1).square()).exp() * (1 - x[:, 1]).clamp_min(0))
    options = ChainOptions(rounds=1, bypass=BypassOptions(nearness=0))
    chains = connect(
        classifier, classifier, points((0, 0.5, 0.5)), points((1, 0.5, 0.5)), np.array([0]), options=options
    )
    assert chains.heights[0, 0] == pytest.approx(2, rel=1e-3)
    middle = chains.waypoints[0][1].ravel()
    np.testing.assert_allclose(middle, [0.5, 1, 0.5], atol=0.02)
    assert chains.heights[0, 1] < 1


def test_a_path_from_an_image_to_itself_is_bypassed_anyway_where_it_is_high() -> None:
    pairs = random_pairs(2)
    chains = connect(
        tiny_torch(),
        tiny_torch(),
        pairs.starts,
        pairs.starts,
        pairs.classes,
        options=ChainOptions(epsilon=0.0, rounds=1, points=5, bypass=QUICK),
    )
    np.testing.assert_allclose(chains.heights[:, 0], chains.straight.ends, atol=1e-5)
    np.testing.assert_allclose(chains.heights[:, 1], chains.heights[:, 0], atol=1e-5)  # the ends stay where they are


def test_progress_is_told_of_every_pair_in_every_round() -> None:
    pairs = random_pairs(5)
    told: list[int] = []
    classifier = tiny_torch()
    options = ChainOptions(epsilon=0, rounds=2, points=5, segment_points=3, bypass=BypassOptions(steps=2))
    connect(
        classifier,
        classifier,
        pairs.starts,
        pairs.ends,
        pairs.classes,
        options=options,
        on_progress=told.append,
    )
    assert sum(told) == 3 * 5


def test_no_pair_gives_no_chain() -> None:
    chains = _tiny_chains(random_pairs(2)[:0], ChainOptions(rounds=2, points=5))
    assert chains.heights.shape == chains.segments.shape == (0, 3)
    assert chains.waypoints == ()
