"""Groups of runs share none, and where all of them are few each comes once."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from detector.research.difficulty.grouping import disjoint_groups, relabellings


@pytest.mark.parametrize(("runs", "size", "count"), [(4, 2, 3), (5, 2, 15), (6, 3, 10), (3, 1, 3)])
def test_few_groups_are_all_there_once(runs: int, size: int, count: int) -> None:
    found = disjoint_groups(runs, size, most=count, seed=0)
    assert found.shape == (count, 2, size)
    assert len({frozenset((frozenset(a), frozenset(b))) for a, b in found.tolist()}) == count


@pytest.mark.parametrize(("runs", "size", "most"), [(12, 6, 20), (12, 2, 7)])
def test_many_groups_are_drawn_and_share_no_run(runs: int, size: int, most: int) -> None:
    found = disjoint_groups(runs, size, most=most, seed=1)
    assert found.shape == (most, 2, size)
    for pair in found:
        assert len(set(pair.ravel().tolist())) == 2 * size
    np.testing.assert_array_equal(found, disjoint_groups(runs, size, most=most, seed=1))
    assert not np.array_equal(found, disjoint_groups(runs, size, most=most, seed=2))


@pytest.mark.parametrize(("runs", "most", "ways"), [(3, 19, 20), (3, 1000, 20), (3, 18, 19), (6, 50, 51)])
def test_runs_are_dealt_out_half_to_each_the_first_time_as_they_are(runs: int, most: int, ways: int) -> None:
    found = relabellings(runs, most=most, seed=0)
    assert found.shape == (ways, 2 * runs)
    assert (found.sum(axis=1) == runs).all()
    assert found[0].tolist() == [True] * runs + [False] * runs
    if ways == comb(2 * runs, runs):
        assert len(np.unique(found, axis=0)) == ways
