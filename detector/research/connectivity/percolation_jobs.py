"""Percolation at work: hypercubes held and searched, lattices, and corners of random networks, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.errors import AnalysisError
from detector.research.connectivity.percolation import (
    MAX_DIMENSIONS,
    MAX_SITES,
    OpenGraph,
    OpenSites,
    SampledPairs,
    sampled_pairs,
    spanning_threshold,
    uniforms,
)
from detector.research.connectivity.random_networks import RandomNetwork, low_loss_sites, straight_share
from detector.shards.base import Job, Shard
from detector.training.architectures import check_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.progress import Advance
    from detector.shards.base import Compute, Models
    from detector.shards.stages import Arrays

Box = tuple[int, int]
"""Of a lattice: its dimension, and the sites along each side."""


@dataclass(frozen=True, kw_only=True)
class PercolationOptions:
    """How percolation is studied.

    Args:
        shares: p, of open sites, each in 0..1.
        dimensions: n of hypercubes that are held in memory, rising.
        trials: Of every hypercube and every box.
        searched: n of larger hypercubes, in which random pairs of open sites are searched for paths.
        pairs: How many.
        budget: As for `search`, of each.
        boxes: Of lattices.
        architecture: Of random networks, as for `build_network`.
        networks: How many.
        network_dimensions: n of their input cubes of which all corners are looked at, rising.
        network_searched: n of larger ones, in which pairs of corners of low loss are searched for paths.
        seed: Of everything drawn.

    Raises:
        AnalysisError: A value is out of range.
    """

    shares: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3)
    dimensions: tuple[int, ...] = (6, 8, 10, 12, 14, 16)
    trials: int = 100
    searched: tuple[int, ...] = (20, 24, 28)
    pairs: int = 100
    budget: int = 3000
    boxes: tuple[Box, ...] = (
        *((2, 16), (2, 32), (2, 64), (3, 8), (3, 12), (3, 20)),
        *((4, 5), (4, 7), (4, 10), (5, 4), (5, 5), (5, 7), (6, 3), (6, 4), (6, 6)),
    )
    architecture: str = "mlp-64-64"
    networks: int = 10
    network_dimensions: tuple[int, ...] = (8, 10, 12, 14, 16)
    network_searched: tuple[int, ...] = (24, 40)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shares or not all(0 < share < 1 for share in self.shares):
            raise AnalysisError(f"percolation: shares must lie between 0 and 1, not {self.shares}")
        if min(self.trials, self.pairs, self.budget, self.networks) < 1:
            raise AnalysisError("percolation: trials, pairs, budget and networks must be at least 1")
        for name in ("dimensions", "network_dimensions"):
            held: tuple[int, ...] = getattr(self, name)
            if not held or list(held) != sorted(set(held)) or held[0] < 2 or 1 << held[-1] > MAX_SITES:  # noqa: PLR2004
                raise AnalysisError(f"percolation: {name} must rise within 2..{MAX_SITES.bit_length() - 1}, not {held}")
        if not all(2 <= n <= MAX_DIMENSIONS for n in (*self.searched, *self.network_searched)):  # noqa: PLR2004
            raise AnalysisError(f"percolation: what is searched has 2..{MAX_DIMENSIONS} dimensions")
        if not self.boxes or not all(d >= 1 and side >= 2 and side**d <= MAX_SITES for d, side in self.boxes):  # noqa: PLR2004
            raise AnalysisError(f"percolation: boxes have sides of at least 2 and at most {MAX_SITES} sites")
        check_network(self.architecture)

    def quick(self) -> PercolationOptions:
        """The same for seconds."""
        return replace(
            self,
            dimensions=(8, 10, 12, 14),
            trials=20,
            searched=(20,),
            pairs=20,
            budget=1000,
            boxes=((2, 16), (2, 32), (3, 7), (3, 14), (4, 5), (4, 9)),
            networks=3,
            network_dimensions=(8, 10, 12),
            network_searched=(24,),
        )


def cubes_job(options: PercolationOptions) -> Job:
    """Connectivity of random open sites of hypercubes: `connectivity` (dimensions, trials, shares)."""
    return _cells("Percolation on hypercubes", _cube, options, options.dimensions)


def searched_job(options: PercolationOptions) -> Job:
    """The same in larger ones: `counts` (dimensions, shares, 3), pairs connected, apart, undecided; `stretch`."""
    return _cells("Searching large hypercubes", _searched, options, options.searched)


def boxes_job(options: PercolationOptions) -> Job:
    """The share of open sites at which boxes are first spanned: `thresholds` (boxes, trials)."""
    return _cells("Percolation on lattices", _box, options, options.boxes)


def networks_job(options: PercolationOptions) -> Job:
    """Corners of low loss: `found` (dimensions, networks, shares, 5), the fields of `LowLossSites`."""
    return _cells("Corners of low loss of random networks", _networks, options, options.network_dimensions)


def searched_networks_job(options: PercolationOptions) -> Job:
    """The same in larger ones: `counts` and `stretch` as of `searched_job`, `straight` (dimensions, shares)."""
    return _cells("Searching large input cubes", _searched_networks, options, options.network_searched)


def _cells(title: str, compute: Compute, options: PercolationOptions, cells: Sequence[Any]) -> Job:
    cut = tuple(Shard(i, slice(i, i + 1), 1) for i in range(len(cells)))
    return Job(title, compute, options, lambda shard: cells[shard.number], cut)


def _keys(options: PercolationOptions, *of: int) -> list[int]:
    """One for each trial."""
    state = np.random.SeedSequence([options.seed, *of]).generate_state(options.trials, np.uint64)
    return [int(key) for key in state]


def _cube(models: Models, options: PercolationOptions, dimensions: int, advance: Advance) -> Arrays:
    del models
    sites = np.arange(1 << dimensions, dtype=np.uint64)
    found = []
    for key in _keys(options, dimensions):
        numbers = uniforms(sites, key).reshape((2,) * dimensions)
        found.append([OpenGraph.of(numbers < share).pair_connectivity for share in options.shares])
    advance(1)
    return {"connectivity": np.array(found)[None]}


def _searched(models: Models, options: PercolationOptions, dimensions: int, advance: Advance) -> Arrays:
    del models
    found = _searches(options, dimensions, lambda share, number: partial(_below, share, number))
    advance(1)
    return _told(found)


def _searches(
    options: PercolationOptions, dimensions: int, field: Callable[[float, int], OpenSites]
) -> list[SampledPairs]:
    """For each share; `field` gives the open sites for a share and the number of a pair."""
    return [
        sampled_pairs(partial(field, share), dimensions, pairs=options.pairs, budget=options.budget, seed=options.seed)
        for share in options.shares
    ]


def _told(found: Sequence[SampledPairs]) -> Arrays:
    """The arrays of one cell."""
    counts = [[one.connected, one.apart, one.undecided] for one in found]
    return {"counts": np.array([counts]), "stretch": np.array([[one.stretch for one in found]])}


def _below(share: float, key: int, sites: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return uniforms(sites, key) < share


def _box(models: Models, options: PercolationOptions, box: Box, advance: Advance) -> Arrays:
    del models
    dimension, side = box
    sites = np.arange(side**dimension, dtype=np.uint64)
    shape = (side,) * dimension
    thresholds = [spanning_threshold(uniforms(sites, key).reshape(shape)) for key in _keys(options, *box)]
    advance(1)
    return {"thresholds": np.array([thresholds])}


def _networks(models: Models, options: PercolationOptions, dimensions: int, advance: Advance) -> Arrays:
    del models
    found = []
    for number in range(options.networks):
        network = RandomNetwork(options.architecture, dimensions, options.seed + number)
        found.append(
            [low_loss_sites(network, share, pairs=options.pairs, seed=number).as_row() for share in options.shares]
        )
    advance(1)
    return {"found": np.array([found])}


def _searched_networks(models: Models, options: PercolationOptions, dimensions: int, advance: Advance) -> Arrays:
    del models
    count = options.networks
    networks = [RandomNetwork(options.architecture, dimensions, options.seed + i) for i in range(count)]
    thresholds = {share: [one.sampled_threshold(share, options.seed) for one in networks] for share in options.shares}

    def field(share: float, number: int) -> OpenSites:
        return partial(_low, networks[number % count], thresholds[share][number % count])

    found = _searches(options, dimensions, field)
    straight = [
        np.mean(
            [
                straight_share(networks[number % count], np.array([ends], np.uint64), thresholds[share][number % count])
                for number, ends in enumerate(one.ends)
            ]
        )
        for share, one in zip(options.shares, found, strict=True)
    ]
    advance(1)
    return {**_told(found), "straight": np.array([straight])}


def _low(network: RandomNetwork, threshold: float, sites: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return network.losses(network.coordinates(sites)) <= threshold
