"""Work on pairs of networks that were pruned level by level, a level of a pair a shard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.research.permutation.agreement import agreement
from detector.research.permutation.barriers import loss_and_error
from detector.research.permutation.masks import permuted_masks, shuffled_masks
from detector.research.permutation.matching import match_weights
from detector.research.permutation.spec import inverse, permuted
from detector.shards.base import Job, Shard
from detector.training.pruning import MASKS, WEIGHTS, trained_under

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.progress import Advance
    from detector.research.permutation.matching import MatchingOptions
    from detector.research.permutation.measuring import Setting
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages
    from detector.training.pruning import Masks, PruningPlan
    from detector.training.recipe import TrainingRecipe


class Alignment(StrEnum):
    """Without a permutation, with that of level 0, with the level's own."""

    NONE = "none"
    DENSE = "dense permutation"
    SPARSE = "own permutation"


class Masking(StrEnum):
    """What a network is trained under.

    Its own mask; the other network's, carried over by the permutation of level 0 or as it stands; or as many weights of
    each layer anywhere.
    """

    OWN = "own"
    PERMUTED = "carried over"
    PLAIN = "as it stands"
    RANDOM = "random"


@dataclass(frozen=True, eq=False)
class Sequences:
    """Pairs of pruned networks: the arrays of `pruning_job`, two networks to a pair.

    Args:
        setting: What they are measured on.
        arrays: As they are: (2 * pairs, levels + 1, ...).
        pairs: How many.
        levels: That they were pruned to, the dense one included.
    """

    setting: Setting
    arrays: Arrays
    pairs: int
    levels: int

    def masks(self, network: int, level: int) -> Masks:
        """What is left of a network."""
        return self._part(MASKS, network, level)

    def state(self, network: int, level: int) -> dict[str, Tensor]:
        """Its parameters and buffers."""
        return self.setting.architecture.state(self._part(WEIGHTS, network, level))

    def _part(self, prefix: str, network: int, level: int) -> Arrays:
        return {
            name.removeprefix(prefix): values[network, level]
            for name, values in self.arrays.items()
            if name.startswith(prefix)
        }

    def job(self, title: str, compute: Callable[..., Arrays], steps: int, *, shared: Any, first: int = 0) -> Job:
        """A shard for each level, from `first` on, of each pair in turn; its part is (pair, level)."""
        places = [(pair, level) for pair in range(self.pairs) for level in range(first, self.levels)]
        cut = tuple(Shard(i, slice(i, i + 1), steps) for i in range(len(places)))
        return Job(title, compute, shared, lambda shard: places[shard.number], cut)


@dataclass(frozen=True, eq=False)
class _Matching:
    sequences: Sequences
    options: MatchingOptions


def matching_job(sequences: Sequences, options: MatchingOptions) -> Job:
    """The permutation of each level's own: by group, int64 (pairs * levels, units)."""
    return sequences.job("Matching pruned networks", _match, 1, shared=_Matching(sequences, options))


def _match(models: Models, shared: _Matching, place: tuple[int, int], advance: Advance) -> Arrays:
    del models
    one, other = _states(shared.sequences, place)
    found = match_weights(shared.sequences.setting.architecture.spec, [one], [other], shared.options)
    advance(1)
    return {name: permutation[None] for name, permutation in found.permutations.items()}


@dataclass(frozen=True, eq=False)
class Matched:
    """Pairs of pruned networks and how their units are paired.

    Args:
        sequences: The networks.
        permutations: The arrays of `matching_job`.
    """

    sequences: Sequences
    permutations: Arrays

    def of(self, pair: int, level: int) -> dict[str, NDArray[np.int64]]:
        """The permutation of the pair's second network at a level."""
        row = pair * self.sequences.levels + level
        return {name: rows[row] for name, rows in self.permutations.items()}


def barriers_job(matched: Matched) -> Job:
    """Barriers of every level, and how far its two permutations agree, a row for each level of each pair.

    Its arrays, for each of `Alignment`, those of `Setting.curves`: `barriers` (rows, 3, 2, 2) and `curves`
    (rows, 3, 2, 2, points); and float64 (rows,): `agreement`, NaN where no unit is left.
    """
    return matched.sequences.job("Walking between pruned networks", _measure, len(Alignment), shared=matched)


def _measure(models: Models, matched: Matched, place: tuple[int, int], advance: Advance) -> Arrays:
    del models
    setting, (pair, level) = matched.sequences.setting, place
    spec = setting.architecture.spec
    one, other = _states(matched.sequences, place)
    dense, sparse = matched.of(pair, 0), matched.of(pair, level)
    found = []
    for permutations in ({}, dense, sparse):
        found.append(setting.curves(one, permuted(spec, other, permutations)))
        advance(1)
    alike = agreement(spec, one, other, dense, sparse)
    joined = {name: np.stack([each[name] for each in found])[None] for name in found[0]}
    return {**joined, "agreement": np.array([np.nan if alike is None else alike])}


@dataclass(frozen=True, eq=False)
class Transport:
    """Masks that are carried from the first network of each pair to the second.

    Args:
        matched: The networks, and how their units are paired.
        recipes: Of all networks.
        images: What they are trained on.
        plan: How they were pruned.
        seed: Of random masks.
    """

    matched: Matched
    recipes: Sequence[TrainingRecipe]
    images: LabelledImages
    plan: PruningPlan
    seed: int


def transport_job(transport: Transport) -> Job:
    """The second network of each pair, trained from its own rewound weights under each of `Masking`.

    Its array, `transported`: float64 (pairs * (levels - 1), 4, 2, 2): for each mask, on training and on held-out
    images, loss (nats) and error.
    """
    steps = transport.recipes[0].plan.steps
    return transport.matched.sequences.job(
        "Training under masks of others", _transport, (len(Masking) - 1) * steps, shared=transport, first=1
    )


def _transport(models: Models, shared: Transport, place: tuple[int, int], advance: Advance) -> Arrays:
    del models
    (pair, level), sequences = place, shared.matched.sequences
    setting, architecture = sequences.setting, sequences.setting.architecture
    lent, own = sequences.masks(2 * pair, level), sequences.masks(2 * pair + 1, level)
    tried = (
        permuted_masks(architecture.spec, lent, inverse(shared.matched.of(pair, 0))),
        lent,
        shuffled_masks(own, shared.seed + pair),
    )
    trained = [
        trained_under(
            shared.recipes[2 * pair + 1], shared.images, masks, rewind_step=shared.plan.rewind_step, advance=advance
        )
        for masks in tried
    ]
    states = [sequences.state(2 * pair + 1, level), *map(architecture.state, trained)]
    measured = [
        [loss_and_error(architecture.program, state, data) for data in (setting.train, setting.held_out)]
        for state in states
    ]
    return {"transported": np.array([measured])}


def _states(sequences: Sequences, place: tuple[int, int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    pair, level = place
    return sequences.state(2 * pair, level), sequences.state(2 * pair + 1, level)
