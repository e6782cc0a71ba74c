"""Runs as shards: each trains one network and watches it, so that any number of them go side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.research.difficulty.observing import Observer
from detector.shards.base import Job, Shard
from detector.training.pruning import PruningPlan, pruned
from detector.training.pruning import steps as pruning_steps
from detector.training.runs import checkpoints
from detector.training.trainer import default_device, load_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.progress import Advance
    from detector.research.difficulty.observing import Watch
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.recipe import TrainingRecipe


def scores_job(title: str, recipes: Sequence[TrainingRecipe], watch: Watch) -> Job:
    """Several runs, each a shard: what `Observer.found` says, (runs, ...).

    A run that is interrupted starts anew; those that are finished are kept.

    Args:
        title: For people who watch.
        recipes: Of runs on the same images, their checkpoints evenly over training, the last at its end.
        watch: What is looked at.
    """
    steps = recipes[0].plan.steps + watch.checkpoints
    if watch.levels:  # which starts from a dense network of its own
        steps += pruning_steps(recipes[0], PruningPlan(levels=watch.levels))
    cut = tuple(Shard(i, slice(i, i + 1), steps) for i in range(len(recipes)))
    return Job(title, _run, watch, lambda shard: recipes[shard.number], cut)


def looked_at(steps: int, checkpoints: int) -> tuple[int, ...]:
    """The steps of checkpoints evenly over training, the last at its end.

    Args:
        steps: Of the whole training, at least as many as checkpoints.
        checkpoints: How many.
    """
    return tuple(round(steps * (number + 1) / checkpoints) for number in range(checkpoints))


def _run(models: Models, watch: Watch, recipe: TrainingRecipe, advance: Advance) -> Arrays:
    del models
    observer = Observer(watch)
    at = looked_at(recipe.plan.steps, watch.checkpoints)
    for checkpoint in checkpoints(recipe, watch.images, at, advance=advance):
        observer.look(checkpoint.module)
        advance(1)
    if watch.levels:
        for level in pruned(recipe, watch.images, PruningPlan(levels=watch.levels), advance=advance):
            module = recipe.network().to(default_device()).eval()
            load_weights(module, level.weights)
            observer.look_pruned(module)
    return {name: values[None] for name, values in observer.found().items()}
