"""Site percolation: sites of a grid are open or closed, and open neighbours are connected.

A hypercube {0, 1}^n is the grid with two sites along each of n axes. What fits in memory is answered exactly, through
SciPy's connected components; of larger hypercubes only those sites are looked at that a search comes by, since whether
a site is open follows from its number alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, shortest_path

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_DIMENSIONS: Final = 62
"""Of a hypercube that is searched: its sites are numbered by 64 bits."""
MAX_SITES: Final = 1 << 24
"""Of a grid that is held in memory."""
SITE_THRESHOLDS: Final = {2: 0.592746, 3: 0.311608, 4: 0.196885, 5: 0.140797, 6: 0.109017}
"""p_c of site percolation on Z^d, to six places; Mertens and Moore, arXiv 1806.08067, Table 1 and those it cites."""
OpenSites = Callable[[NDArray[np.uint64]], NDArray[np.bool_]]
"""Says which of some sites of a hypercube are open; a site's coordinates are the bits of its number."""
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_ITERATIONS: Final = 200
_TRIES: Final = 1000
_DRAWN: Final = 256


def uniforms(sites: NDArray[np.uint64], key: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each site, drawn once and for all: SplitMix64 of its number and a key.

    Args:
        sites: uint64, any shape.
        key: Another gives other numbers.
    """
    drawn = _mixed(_mixed(sites + np.uint64(1)) ^ _mixed(np.array([key], np.uint64)))
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = values + _GAMMA
    for shift, factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed


@dataclass(frozen=True, eq=False)
class OpenGraph:
    """The open sites of a grid and what joins them.

    Args:
        number: int64, of the grid's shape: which of the open sites a site is; -1 for closed ones.
        joined: (open, open), one entry for each pair of open neighbours.
    """

    number: NDArray[np.int64]
    joined: csr_matrix

    @classmethod
    def of(cls, open_sites: NDArray[np.bool_]) -> OpenGraph:
        """Find it.

        Args:
            open_sites: Bool, of the grid's shape.

        Raises:
            AnalysisError: The grid is too large to be held in memory.
        """
        if open_sites.size > MAX_SITES:
            raise AnalysisError(f"percolation: {open_sites.size} sites are too many to hold; the limit is {MAX_SITES}")
        count = int(open_sites.sum())
        number = np.where(open_sites, np.cumsum(open_sites).reshape(open_sites.shape) - 1, -1)
        pairs = []
        for axis in range(open_sites.ndim):
            low, high = (np.delete(number, end, axis=axis).ravel() for end in (-1, 0))
            both = (low >= 0) & (high >= 0)
            pairs.append(np.stack([low[both], high[both]]))
        rows, columns = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0), np.int64)
        return cls(number, coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count)).tocsr())

    @property
    def clusters(self) -> NDArray[np.int64]:
        """int64 (open,): which cluster each open site is in, from 0."""
        if not self.joined.shape[0]:
            return np.empty(0, np.int64)
        return np.asarray(connected_components(self.joined, directed=False)[1], np.int64)

    @property
    def pair_connectivity(self) -> float:
        """The share of pairs of different open sites that are connected, 0..1; NaN of fewer than two sites."""
        count = self.joined.shape[0]
        if count < 2:  # noqa: PLR2004 - a pair
            return float("nan")
        sizes = np.bincount(self.clusters).astype(float)
        return float((sizes * (sizes - 1)).sum() / (count * (count - 1)))

    @property
    def spans(self) -> bool:
        """Whether a cluster reaches from one end of the first axis to the other."""
        ends = [self.clusters[layer[layer >= 0]] for layer in (self.number[0], self.number[-1])]
        return bool(np.isin(*ends).any())

    def distances(self, sources: NDArray[np.int64]) -> NDArray[np.float64]:
        """Steps of the shortest paths from some open sites to all, infinite where there is none: (sources, open)."""
        distances = shortest_path(self.joined, method="D", directed=False, unweighted=True, indices=sources)
        return np.asarray(distances, np.float64)


def spanning_threshold(numbers: NDArray[np.float64]) -> float:
    """The smallest p at which the sites whose number is below p span the grid; exact, by halving.

    Args:
        numbers: Of the grid's shape, in [0, 1), all different.
    """
    levels = np.sort(numbers, axis=None)
    low, high = 0, len(levels) - 1  # with all sites open the grid is spanned
    while low < high:
        middle = (low + high) // 2
        if OpenGraph.of(numbers <= levels[middle]).spans:
            high = middle
        else:
            low = middle + 1
    return float(levels[low])


def threshold_expansion(dimension: int) -> float:
    """The first three terms of p_c of site percolation on Z^d in powers of 1/(2d); arXiv 1912.04584."""
    share = 1 / (2 * dimension)
    return share + 5 / 2 * share**2 + 31 / 4 * share**3


def branching_connectivity(dimensions: int, share: float) -> float:
    """What a branching process says of `pair_connectivity` on a large hypercube: both sites are in the one giant.

    An open site has Binomial(n, p) open neighbours, each of those n - 1 further ones; the first site's line never dies
    out with the probability whose square this is. Site percolation on {0, 1}^n has its threshold at p = 1/n (Bollobas,
    Kohayakawa and Luczak 1994; above it all clusters but one are of size O(n): arXiv 2204.05074).

    Args:
        dimensions: n.
        share: p, of open sites.
    """
    dying = 0.0
    for _ in range(_ITERATIONS):
        dying = (1 - share + share * dying) ** (dimensions - 1)
    return float((1 - (1 - share + share * dying) ** dimensions) ** 2)


@dataclass(frozen=True)
class Search:
    """Whether two sites are connected.

    Args:
        connected: None where the search was given up.
        steps: Of the path that was found, which need not be the shortest; 0 where there is none.
    """

    connected: bool | None
    steps: int = 0


def search(is_open: OpenSites, dimensions: int, ends: tuple[int, int], budget: int) -> Search:
    """Look for a path between two open sites of a hypercube, from both ends, the sites nearest the other end first.

    Args:
        is_open: Which of some sites are open; sites are numbered by their coordinates as bits.
        dimensions: Of the hypercube, at most `MAX_DIMENSIONS`.
        ends: Two different open sites.
        budget: Sites whose neighbours are looked at before it is given up.

    Returns:
        What is known. A path, or that a site's whole cluster was seen without the other, is certain.
    """
    bits = np.uint64(1) << np.arange(dimensions, dtype=np.uint64)
    depths = ({ends[0]: 0}, {ends[1]: 0})
    waiting: tuple[list[tuple[int, int, int]], ...] = ([(0, 0, ends[0])], [(0, 0, ends[1])])
    for _ in range(budget):
        if not waiting[0] or not waiting[1]:
            return Search(connected=False)
        side = int(len(depths[1]) < len(depths[0]))
        _, depth, site = heapq.heappop(waiting[side])
        neighbours = np.uint64(site) ^ bits
        for value in neighbours[is_open(neighbours)].tolist():
            if value in depths[1 - side]:
                return Search(connected=True, steps=depth + 1 + depths[1 - side][value])
            if value not in depths[side]:
                depths[side][value] = depth + 1
                heapq.heappush(waiting[side], ((value ^ ends[1 - side]).bit_count(), depth + 1, value))
    return Search(connected=None)


@dataclass(frozen=True, eq=False)
class SampledPairs:
    """What searches between random pairs of open sites found.

    Args:
        connected: How many pairs are.
        apart: How many are not.
        undecided: How many searches were given up.
        stretch: Mean number of steps of the paths found, over the number of coordinates in which their ends differ;
            NaN where none was found.
        ends: The pairs, by number.
    """

    connected: int
    apart: int
    undecided: int
    stretch: float
    ends: tuple[tuple[int, int], ...]


def sampled_pairs(
    fields: Callable[[int], OpenSites],
    dimensions: int,
    *,
    pairs: int,
    budget: int,
    seed: int,
) -> SampledPairs:
    """Whether random pairs of open sites of a large hypercube are connected.

    Args:
        fields: For each pair, by its number, which sites are open.
        dimensions: Of the hypercube, at most `MAX_DIMENSIONS`.
        pairs: How many.
        budget: As for `search`, of each.
        seed: Of the pairs.

    Raises:
        AnalysisError: Too many dimensions, or hardly any site is open.
    """
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise AnalysisError(f"percolation: dimensions must lie in 1..{MAX_DIMENSIONS}, not {dimensions}")
    generator = np.random.default_rng(seed)
    ends = [_two_open(fields(number), dimensions, generator) for number in range(pairs)]
    found = [search(fields(number), dimensions, pair, budget) for number, pair in enumerate(ends)]
    stretches = [one.steps / (a ^ b).bit_count() for one, (a, b) in zip(found, ends, strict=True) if one.connected]
    return SampledPairs(
        connected=len(stretches),
        apart=sum(one.connected is False for one in found),
        undecided=sum(one.connected is None for one in found),
        stretch=float(np.mean(stretches)) if stretches else float("nan"),
        ends=tuple(ends),
    )


def _two_open(is_open: OpenSites, dimensions: int, generator: np.random.Generator) -> tuple[int, int]:
    """Two different open sites, each as likely as any."""
    met: list[int] = []
    for _ in range(_TRIES):
        sites = generator.integers(0, 1 << dimensions, _DRAWN, dtype=np.uint64)
        for site in sites[is_open(sites)].tolist():
            if site not in met:
                met.append(site)
            if len(met) == 2:  # noqa: PLR2004 - a pair
                return met[0], met[1]
    raise AnalysisError(f"percolation: of {_TRIES * _DRAWN} random sites not two different ones are open")
