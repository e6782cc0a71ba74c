"""Runs drawn into groups: disjoint ones of one size, and all ways to deal runs out to two architectures."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def disjoint_groups(runs: int, size: int, *, most: int, seed: int) -> NDArray[np.int64]:
    """Pairs of groups of runs that share none.

    Args:
        runs: There are.
        size: Of a group, 1..runs // 2.
        most: Pairs of groups; where there are not more, each of them once.
        seed: Of the draw, where there are more.

    Returns:
        int64 (pairs, 2, size): numbers of runs.
    """
    if comb(runs, size) * comb(runs - size, size) // 2 <= most:
        return np.array(list(_all_groups(runs, size)), np.int64)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(runs)[: 2 * size] for _ in range(most)]
    return np.array(orders, np.int64).reshape(most, 2, size)


def _all_groups(runs: int, size: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for first in combinations(range(runs), size):
        rest = [run for run in range(runs) if run not in first]
        yield from ((first, second) for second in combinations(rest, size) if first[0] < second[0])


def relabellings(runs: int, *, most: int, seed: int) -> NDArray[np.bool_]:
    """Ways to deal the runs of two architectures out to them anew, half to each; the first is as they are.

    Args:
        runs: Of each architecture; the first's come first.
        most: Ways besides the one as they are; where there are not more, each of them once.
        seed: Of the draw, where there are more.

    Returns:
        bool (ways, 2 * runs): which runs the first architecture gets.
    """
    if comb(2 * runs, runs) - 1 <= most:
        chosen = np.array(list(combinations(range(2 * runs), runs)))
    else:
        rng = np.random.default_rng(seed)
        chosen = np.array([np.arange(runs), *(rng.permutation(2 * runs)[:runs] for _ in range(most))])
    dealt = np.zeros((len(chosen), 2 * runs), bool)
    np.put_along_axis(dealt, chosen, values=True, axis=1)
    return dealt
