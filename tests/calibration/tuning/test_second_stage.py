from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.calibration.tuning.second_stage import chain_cost, detours
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, Chains
from detector.paths.curves import LossCurves

STRAIGHT = LossCurves(np.array([0.0, 1.0]), np.zeros((1, 2), np.float32))


def _chains(*points: tuple[float, float]) -> Chains:
    """One path through points of two pixels."""
    waypoints = np.array(points, np.float32).reshape(-1, 1, 1, 2)
    return Chains(STRAIGHT, np.zeros((1, 1), np.float32), np.ones((1, 1), np.int64), (waypoints,))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (((0, 0), (1, 0)), 0),
        (((0, 0), (0.3, 0), (1, 0)), 0),
        (((0, 0), (0.5, 0.25), (1, 0)), 0.25),
        (((0, 0), (0.5, 0.25), (1.5, -1), (2, 0)), 0.5),
        (((1, 1), (1, 1)), 0),
    ],
)
def test_a_detour_is_how_far_a_path_leaves_the_straight_one(
    points: tuple[tuple[float, float], ...], expected: float
) -> None:
    assert detours(_chains(*points)) == pytest.approx([expected])


def test_what_a_chain_costs_counts_every_forward_and_every_backward_twice() -> None:
    options = ChainOptions(rounds=1, points=5, segment_points=3, bypass=BypassOptions(steps=2))
    # 5 points; 3 forwards and 2 backwards at the barrier; 3 points on each of two halves.
    assert chain_cost(options) == 5 + 3 + 2 * 2 + 2 * 3
    twice = replace(options, rounds=2)
    assert chain_cost(twice) == chain_cost(options) + 2 * (3 + 2 * 2 + 2 * 3)
