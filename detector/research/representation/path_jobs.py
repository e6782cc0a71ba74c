"""Paths of networks that were trained, measured: each by itself, pairs of one architecture, and all together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.comparing import layer_distances
from detector.research.representation.path_geometry import path_geometry
from detector.research.representation.probe import Probe, layers_of
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.progress import Advance
    from detector.research.representation.path import RepresentationPath
    from detector.research.representation.spaces.base import Array
    from detector.research.representation.torch_layers import TorchLayers
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.recipe import TrainingRecipe

MAX_BYTES: Final = 2**31
"""Of all points that are compared at once."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks of one architecture.

    Args:
        recipe: Of any of them.
        weights: By name, (networks, checkpoints, ...).
        epochs: The epoch of each checkpoint.
    """

    recipe: TrainingRecipe
    weights: Arrays
    epochs: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many networks."""
        return len(next(iter(self.weights.values())))

    def only(self, *networks: int) -> Trained:
        """Some of them."""
        return replace(self, weights={name: value[list(networks)] for name, value in self.weights.items()})

    def at(self, *checkpoints: int) -> Trained:
        """The same at some of their checkpoints."""
        weights = {name: value[:, list(checkpoints)] for name, value in self.weights.items()}
        return replace(self, weights=weights, epochs=tuple(self.epochs[place] for place in checkpoints))

    def to_json(self) -> dict[str, Any]:
        """What they follow from, JSON values."""
        return {"recipe": self.recipe.to_json(), "networks": self.count, "epochs": list(self.epochs)}


def geometry_job(title: str, trained: Trained, probe: Probe) -> Job:
    """The geometry of each network's path at each checkpoint; a network is a shard.

    Returns:
        Arrays (networks, checkpoints, ...): those of `PathGeometry`, and ``accuracy`` on the probe's images.
    """
    cut = tuple(Shard(i, slice(i, i + 1), len(trained.epochs)) for i in range(trained.count))
    return Job(title, _geometry, probe, lambda shard: trained.only(shard.number), cut)


def _geometry(models: Models, probe: Probe, trained: Trained, advance: Advance) -> Arrays:
    del models
    network = layers_of(trained.recipe)
    found = []
    for checkpoint in range(len(trained.epochs)):
        moved = network.with_weights(trained.weights, 0, checkpoint)
        geometry = path_geometry(probe.path(moved), probe.space)
        found.append(geometry.arrays() | {"accuracy": np.array(probe.accuracy(moved))})
        advance(1)
    return {name: np.stack([one[name] for one in found])[None] for name in found[0]}


def pairs_job(title: str, trained: Trained, probe: Probe) -> Job:
    """How far every layer of a network is from every layer of another; each two of them are a shard.

    Returns:
        ``distances`` float64 (pairs, checkpoints, L, L), pairs in the order of `itertools.combinations`.

    Raises:
        AnalysisError: There is no pair.
    """
    pairs = list(combinations(range(trained.count), 2))
    if not pairs:
        raise AnalysisError("seeds: two networks or more are compared")
    cut = tuple(Shard(i, slice(i, i + 1), len(trained.epochs)) for i in range(len(pairs)))
    return Job(title, _pair, probe, lambda shard: trained.only(*pairs[shard.number]), cut)


def _pair(models: Models, probe: Probe, trained: Trained, advance: Advance) -> Arrays:
    del models
    network = layers_of(trained.recipe)
    found = []
    for checkpoint in range(len(trained.epochs)):
        one, other = (_path(network, trained, probe, number, checkpoint) for number in range(2))
        found.append(layer_distances(one, other, probe.space))
        advance(1)
    return {"distances": np.stack(found)[None]}


def together_job(title: str, all_trained: Sequence[Trained], probe: Probe) -> Job:
    """How far all points of all paths are from one another, and from the target, as one shard.

    Args:
        title: For people who watch.
        all_trained: Of one architecture each; of all their networks at all checkpoints, the paths follow one another.
        probe: What they are measured on.

    Returns:
        ``distances`` float64 (P, P), P all points, the target behind them.
    """
    cut = (Shard(0, slice(0, 1), len(all_trained)),)
    return Job(title, _together, probe, lambda _: all_trained, cut)


def _together(models: Models, probe: Probe, all_trained: Sequence[Trained], advance: Advance) -> Arrays:
    del models
    points: list[Array] = []
    for trained in all_trained:
        network = layers_of(trained.recipe)
        for number, checkpoint in np.ndindex(trained.count, len(trained.epochs)):
            points += _path(network, trained, probe, number, checkpoint).points
            if sum(point.nbytes for point in points) > MAX_BYTES:
                raise AnalysisError(f"paths: their points take more than {MAX_BYTES} bytes; compare fewer inputs")
        advance(1)
    points.append(probe.target)
    return {"distances": probe.space.distances(points, points)}


def _path(network: TorchLayers, trained: Trained, probe: Probe, number: int, checkpoint: int) -> RepresentationPath:
    return probe.path(network.with_weights(trained.weights, number, checkpoint))
