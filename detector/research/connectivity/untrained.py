"""Untrained networks: whether two synthetic modes of a class are connected before anything is learnt.

Vrabel et al., Sec. 4.3. The network stays in evaluation mode, so batch normalisation uses its first statistics. Bypass
points are moved freely: no hyperplane, no price on the distance, as the authors have it there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, connect
from detector.paths.curves import loss_curves
from detector.research.connectivity.modes import ModeOptions, mode_pairs
from detector.shards.base import Job, Shard
from detector.training.trainer import default_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.progress import Advance
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.recipe import TrainingRecipe


@dataclass(frozen=True, kw_only=True)
class UntrainedOptions:
    """How untrained networks are looked at.

    Args:
        modes: How pairs are made.
        rounds: Of bypasses; every segment is bypassed in every round.
        points: Of the grid on the straight path.
    """

    modes: ModeOptions
    rounds: int = 2
    points: int = 51

    @property
    def chains(self) -> ChainOptions:
        """How pairs are joined."""
        free = BypassOptions(
            steps=self.modes.steps,
            learning_rate=self.modes.learning_rate,
            nearness=0,
            on_hyperplane=False,
            within_box=self.modes.within_box,
        )
        return ChainOptions(epsilon=0, rounds=self.rounds, points=self.points, bypass=free)


def untrained_job(recipes: Sequence[TrainingRecipe], options: UntrainedOptions) -> Job:
    """Pairs of modes of untrained networks, a network a shard.

    Its arrays: `heights` float32 (networks, pairs, rounds + 1), the largest loss on the path after each round; `ends`
    float32 (networks, pairs), the larger loss of the two modes; `distances` and `cosines`, likewise, as `ModePairs`;
    `boxed_ends`, as `ends` where modes stay in the valid pixel box.

    Args:
        recipes: Whose networks, as they are before the first step.
        options: How.
    """
    steps = (2 + options.rounds) * options.modes.steps
    cut = tuple(Shard(i, slice(i, i + 1), steps) for i in range(len(recipes)))
    return Job("Joining modes of untrained networks", _untrained, options, lambda shard: recipes[shard.number], cut)


def _untrained(models: Models, options: UntrainedOptions, recipe: TrainingRecipe, advance: Advance) -> Arrays:
    del models
    classifier = recipe.classifier(recipe.network().to(default_device()))
    pairs = mode_pairs(classifier, options.modes, on_progress=advance)
    boxed = mode_pairs(classifier, replace(options.modes, within_box=True), on_progress=advance)
    chains = connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=options.chains)
    advance(options.rounds * options.modes.steps)
    return {
        "heights": chains.heights[None],
        "ends": chains.straight.ends[None],
        "distances": pairs.distances[None],
        "cosines": pairs.cosines[None],
        "boxed_ends": loss_curves(classifier, boxed.starts, boxed.ends, boxed.classes, points=2).ends[None],
    }
