"""Corners of the input cube on which a random network's loss is low: open sites whose labels are not independent.

The percolation argument labels cells of input space at random, each for itself. A network's labels are those of one
function: neighbours tend to agree. What that does to connectivity is measured here, beside independent labels of the
same share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from detector.research.connectivity.percolation import OpenGraph
from detector.training.architectures import build_network
from detector.training.trainer import drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

_CLASSES = 10
_CHUNK = 1 << 14
_SAMPLE = 1 << 14
_ALPHAS = 21
_ROUNDING = 1e-5  # nats: a corner's loss, asked again in another batch


class RandomNetwork:
    """An untrained network on {0, 1}^n, and the loss of its first class there.

    Inputs 0 and 1 become -1 and 1 first, so that no corner is special.

    Args:
        architecture: As for `build_network`.
        dimensions: n.
        seed: Of the weights.
    """

    def __init__(self, architecture: str, dimensions: int, seed: int) -> None:
        shape = (1, 1, dimensions)
        self.dimensions = dimensions
        self._bits = np.arange(dimensions, dtype=np.uint64)
        self._module, _ = drawn(seed, lambda: build_network(architecture, shape, _CLASSES, mean=(0.5,), std=(0.5,)))
        self._module.eval()

    def coordinates(self, sites: NDArray[np.uint64]) -> Float32Array:
        """Sites by number to corners: float32 (N, n)."""
        return ((sites[:, None] >> self._bits) & np.uint64(1)).astype(np.float32)

    def losses(self, points: Float32Array) -> Float32Array:
        """Cross-entropy of the first class at points (N, n) of the cube: float32 (N,), nats."""
        with torch.no_grad():
            return np.concatenate([self._losses(points[at : at + _CHUNK]) for at in range(0, len(points), _CHUNK)])

    def _losses(self, points: Float32Array) -> Float32Array:
        logits = self._module(torch.from_numpy(points)[:, None, None])
        losses: Float32Array = cross_entropy(
            logits, torch.zeros(len(points), dtype=torch.int64), reduction="none"
        ).numpy()
        return losses

    @cached_property
    def of_all_corners(self) -> Float32Array:
        """float32 (2^n,), by site."""
        return self.losses(self.coordinates(np.arange(1 << self.dimensions, dtype=np.uint64)))

    def sampled_threshold(self, share: float, seed: int) -> float:
        """The loss below which about a share of all corners lies, seen from a sample of them."""
        sites = np.random.default_rng(seed).integers(0, 1 << self.dimensions, _SAMPLE, dtype=np.uint64)
        return float(np.quantile(self.losses(self.coordinates(sites)), share))


@dataclass(frozen=True)
class LowLossSites:
    """What is known of the corners of low loss.

    Args:
        connectivity: Share of pairs of them that are connected by steps of single coordinates through others.
        independent: The same where as many corners are chosen at random.
        neighbours: Share of the neighbours of one that are too; by chance it is their share of all.
        stretch: Steps of the shortest path between connected ones, over the coordinates in which they differ; mean.
        straight: Share of pairs whose straight line through the cube stays below the threshold too.
    """

    connectivity: float
    independent: float
    neighbours: float
    stretch: float
    straight: float

    def as_row(self) -> list[float]:
        """All of it, in order."""
        return [self.connectivity, self.independent, self.neighbours, self.stretch, self.straight]


def low_loss_sites(network: RandomNetwork, share: float, *, pairs: int, seed: int) -> LowLossSites:
    """Look at the corners of lowest loss.

    Args:
        network: On few enough dimensions that all corners can be asked about.
        share: How many of the corners are called low.
        pairs: That are drawn for paths and straight lines.
        seed: Of the pairs and the independent labels.
    """
    generator = np.random.default_rng(seed)
    losses = network.of_all_corners
    count = max(2, round(share * losses.size))
    low = np.zeros(losses.size, bool)
    low[np.argsort(losses, kind="stable")[:count]] = True
    threshold = float(losses[low].max())
    cube = (2,) * network.dimensions
    graph, by_chance = OpenGraph.of(low.reshape(cube)), OpenGraph.of(generator.permutation(low).reshape(cube))
    sites = np.flatnonzero(low)
    chosen = np.stack([generator.choice(count, 2, replace=False) for _ in range(pairs)])
    return LowLossSites(
        connectivity=graph.pair_connectivity,
        independent=by_chance.pair_connectivity,
        neighbours=2 * graph.joined.nnz / (count * network.dimensions),
        stretch=_stretch(graph, sites, chosen),
        straight=straight_share(network, sites[chosen].astype(np.uint64), threshold),
    )


def _stretch(graph: OpenGraph, sites: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    steps = graph.distances(chosen[:, 0])[np.arange(len(chosen)), chosen[:, 1]]
    apart = np.array([int(a ^ b).bit_count() for a, b in sites[chosen]])
    reached = np.isfinite(steps)
    return float((steps[reached] / apart[reached]).mean()) if reached.any() else float("nan")


def straight_share(network: RandomNetwork, ends: NDArray[np.uint64], threshold: float) -> float:
    """The share of pairs of corners between which the loss stays low on the straight line through the cube.

    Args:
        network: Whose loss.
        ends: uint64 (pairs, 2), corners by number, of low loss.
        threshold: The largest loss that is called low, nats.
    """
    starts, goals = (network.coordinates(ends[:, side]) for side in (0, 1))
    alphas = np.linspace(0, 1, _ALPHAS, dtype=np.float32)[:, None, None]
    points = (1 - alphas) * starts + alphas * goals
    losses = network.losses(points.reshape(-1, network.dimensions)).reshape(_ALPHAS, -1)
    return float((losses.max(axis=0) <= threshold + _ROUNDING).mean())
