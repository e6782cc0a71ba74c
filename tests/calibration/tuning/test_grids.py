from __future__ import annotations

import numpy as np
import pytest

from detector.calibration.options import squared_steps
from detector.calibration.tuning.evidence import Evidence, Profiles
from detector.calibration.tuning.grids import dense_grid, greedy_grids, spaced_grids
from detector.scoring.features import CHANNELS

POINTS = (1, 2, 4, 6)
DENSE = dense_grid(POINTS, squared_steps(4))


def test_the_dense_grid_has_every_squared_grid_and_the_one_in_place() -> None:
    standing = (0.07, 0.9)
    dense = dense_grid(POINTS, standing)
    assert set(standing) < set(dense)
    assert all(set(squared_steps(count)) < set(dense) for count in POINTS)
    assert list(dense) == sorted(set(dense))
    assert dense[0] > 0
    assert dense[-1] <= 1


def test_every_grid_lies_within_the_dense_one() -> None:
    grids = spaced_grids(POINTS, DENSE)
    assert {len(grid.alphas) for grid in grids} == set(POINTS)
    for grid in grids:
        assert set(grid.alphas) <= set(DENSE)
        assert list(grid.alphas) == sorted(set(grid.alphas))
        assert grid.name.startswith(f"{len(grid.alphas)} point")
    assert len({grid.name for grid in grids}) == len(grids)


def test_even_grids_are_as_even_as_the_dense_one_allows() -> None:
    for grid in spaced_grids((1, 2, 4), DENSE):
        if grid.spacing == "even":
            wanted = np.arange(1, len(grid.alphas) + 1) / (len(grid.alphas) + 1)
            assert np.abs(np.array(grid.alphas) - wanted).max() < 0.06


def _planted(alpha: float, *, kins: tuple[str, ...] = ("x", "y"), seed: int = 0) -> Evidence:
    """Features that are noise, but for those at one point of the path."""
    names = tuple(
        f"{channel}@{point}" for channel in CHANNELS for point in ("image", *(f"blur:{a:.4g}" for a in DENSE))
    )
    there = np.array([name.endswith(f":{alpha:.4g}") for name in names])
    generator = np.random.default_rng(seed)

    def drawn(count: int, shift: float, first: int) -> Profiles:
        features = generator.standard_normal((count, len(names))) + shift * there
        return Profiles(features.astype(np.float32), first + np.arange(count))

    return Evidence(
        names=names,
        benign=drawn(120, 0, 0),
        corrupted=drawn(0, 0, 0),
        attacked={kin: drawn(60, 0.8, 120) for kin in kins},
        kins={kin: kin for kin in kins},
        supervised=True,
        total=200,
        seed=0,
    )


@pytest.mark.parametrize("alpha", [DENSE[0], DENSE[5], DENSE[-1]])
def test_growing_finds_the_point_that_tells_them_apart(alpha: float) -> None:
    grids = greedy_grids(_planted(alpha), DENSE, ["blur"], (1, 3))
    assert [len(grid.alphas) for grid in grids] == [1, 3]
    assert grids[0].alphas == (alpha,)
    assert set(grids[0].alphas) < set(grids[1].alphas)


def test_growing_learns_from_other_kins_so_from_one_alone_it_can_not() -> None:
    assert greedy_grids(_planted(DENSE[0], kins=("x",)), DENSE, ["blur"], (1,)) == []
