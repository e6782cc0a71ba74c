"""Two networks on their way: whether one permutation serves at every checkpoint, and which layers fix it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.research.permutation.agreement import agreement
from detector.research.permutation.barriers import line
from detector.research.permutation.hybrids import Hybrid, cuts, hybrid, layers, tensors
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.measuring import Setting
from detector.research.permutation.spec import identity, permuted
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.program import State
    from detector.progress import Advance
    from detector.research.permutation.spec import Permutations
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages

PAIR: Final = 2
SETS: Final = 2  # training images and held-out ones
_MOST_LAYERS: Final = 6  # of which hybrids are made


@dataclass(frozen=True, eq=False)
class Trajectories(Setting):
    """What pairs of networks share; see `Setting` for the rest.

    Args:
        checkpoints: How many there are of each network, the last its end.
        early: The first so many of them lend their layers to hybrids.
        matching: How weights are matched.
    """

    checkpoints: int
    early: int
    matching: MatchingOptions

    @cached_property
    def layers(self) -> list[list[str]]:
        """Of the architecture, which is not traced for them: what is traced stays in its process."""
        return layers(self.recipe.network().state_dict())

    @property
    def cuts(self) -> list[int]:
        """The layers of which hybrids are made."""
        return cuts(len(self.layers), _MOST_LAYERS)

    @property
    def steps(self) -> int:
        """Mixtures measured for each pair."""
        lines = SETS * self.checkpoints * (self.checkpoints + 2) + self.early * len(self.hybrids)
        return lines * self.points

    @property
    def hybrids(self) -> list[frozenset[int]]:
        """Every set of early layers that is tried, once."""
        return sorted({kind.early(layer, len(self.layers)) for kind in Hybrid for layer in self.cuts}, key=sorted)


def trajectories_job(title: str, weights: Arrays, shared: Trajectories) -> Job:
    """Each two networks that follow one another, a shard.

    Args:
        title: For people who watch.
        weights: As `trained_networks` gives them, of an even number of networks.
        shared: What they share.

    Returns:
        Arrays, one row a pair: ``applied`` float64 (pairs, permutations, checkpoints, 2, 2), barriers of every
        permutation (none, that of each checkpoint, that of all trained checkpoints together) at every checkpoint, on
        training and on held-out images, loss (nats) and error; ``hybrids`` (pairs, early, kinds, layers, 2), barriers
        at the end on training images; ``final`` (pairs, checkpoints), the share of matches that are already those of
        the end; ``ends`` (pairs, checkpoints, 2, 2), loss and error of the networks, mean of both.
    """
    count = len(next(iter(weights.values()))) // PAIR
    cut = tuple(Shard(i, slice(i, i + 1), shared.steps) for i in range(count))

    def part(shard: Shard) -> Arrays:
        return {name: value[PAIR * shard.number : PAIR * (shard.number + 1)] for name, value in weights.items()}

    return Job(title, _measured, shared, part, cut)


def _measured(models: Models, shared: Trajectories, weights: Arrays, advance: Advance) -> Arrays:
    del models
    pair = _Pair(shared, weights, advance)
    last = shared.checkpoints - 1
    matched = [pair.matched([step]) for step in range(shared.checkpoints)]
    together = pair.matched(range(1, shared.checkpoints))
    applied, ends = [], np.zeros((shared.checkpoints, SETS, 2))
    for permutations in (identity(shared.architecture.spec), *matched, together):
        rows = []
        for step in range(shared.checkpoints):
            found = [pair.barrier(step, permutations, images) for images in (shared.train, shared.held_out)]
            rows.append([barriers for barriers, _ in found])
            ends[step] = [corners for _, corners in found]
        applied.append(rows)
    final = [pair.agreement(permutations, matched[last]) for permutations in matched]
    return {
        "applied": np.array([applied]),
        "hybrids": np.array([[pair.hybrids(step) for step in range(shared.early)]]),
        "final": np.array([final]),
        "ends": ends[None],
    }


class _Pair:
    """Two networks, checkpoint by checkpoint."""

    def __init__(self, shared: Trajectories, weights: Arrays, advance: Advance) -> None:
        self._shared, self._advance = shared, advance
        self._one, self._other = (
            [shared.architecture.state(weights, number, step) for step in range(shared.checkpoints)]
            for number in range(PAIR)
        )

    def matched(self, steps: Sequence[int]) -> Permutations:
        """One permutation for some checkpoints."""
        return self._match([self._one[step] for step in steps], [self._other[step] for step in steps])

    def _match(self, references: Sequence[State], moved: Sequence[State]) -> Permutations:
        shared = self._shared
        return match_weights(shared.architecture.spec, references, moved, shared.matching).permutations

    def barrier(self, step: int, permutations: Permutations, images: LabelledImages) -> tuple[list[float], list[float]]:
        """Loss and error barrier at a checkpoint, and loss and error of the two networks."""
        shared = self._shared
        moved = permuted(shared.architecture.spec, self._other[step], permutations)
        found = shared.barrier([self._one[step], moved], line(shared.points), images, self._advance)
        return [found.loss, found.error], found.corners.mean(0).tolist()

    def agreement(self, one: Permutations, other: Permutations) -> float:
        """Share of units matched alike, at the end; NaN where none is alive."""
        share = agreement(self._shared.architecture.spec, self._one[-1], self._other[-1], one, other)
        return float("nan") if share is None else share

    def hybrids(self, step: int) -> list[list[list[float]]]:
        """Barriers at the end of permutations that hybrids of a checkpoint and the end give: (kinds, layers, 2)."""
        shared = self._shared
        found = {}
        for early in shared.hybrids:
            chosen = tensors(shared.layers, early)
            one, other = (hybrid(states[step], states[-1], chosen) for states in (self._one, self._other))
            found[early], _ = self.barrier(-1, self._match([one], [other]), shared.train)
        return [[found[kind.early(layer, len(shared.layers))] for layer in shared.cuts] for kind in Hybrid]
