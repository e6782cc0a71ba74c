"""Runs: recipes carried out, looked at on the way, kept and taken up again."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detector.errors import AnalysisError
from detector.shards.base import Job, Shard
from detector.training.trainer import Training, default_device, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import nn

    from detector.progress import Advance
    from detector.shards.base import Models
    from detector.shards.stages import Arrays, StageStore
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe

_KEPT = "training state"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network on its way.

    Args:
        step: Steps it has been trained for.
        module: A copy in evaluation mode, to do with as one likes.
        state: Where its training stands: what `Training.restore` goes on from.
    """

    step: int
    module: nn.Module
    state: Arrays

    @property
    def weights(self) -> Arrays:
        """Its parameters and buffers by name."""
        return weights_of(self.state)


def begun(recipe: TrainingRecipe, images: LabelledImages, device: torch.device | None = None) -> Training:
    """The training of a recipe before its first step.

    Args:
        recipe: What is trained and how.
        images: What on.
        device: Where to train; None takes a GPU, where there is one.

    Raises:
        AnalysisError: The recipe is for other images.
    """
    if images.digest != recipe.data:
        raise AnalysisError("training: the recipe is for other images than these")
    generator = torch.Generator().manual_seed(recipe.order_seed)
    return Training(recipe.network().to(device or default_device()), *images.tensors(), recipe.plan, generator)


def checkpoints(
    recipe: TrainingRecipe,
    images: LabelledImages,
    at: Sequence[int],
    *,
    store: StageStore | None = None,
    device: torch.device | None = None,
    on_step: Callable[[Training], None] | None = None,
    advance: Advance | None = None,
) -> Generator[Checkpoint]:
    """Train, and stop for a look at chosen steps.

    With a store, the whole state is kept at each of them. A training that was interrupted is taken up at the last that
    is there, and ends with the very same weights.

    Args:
        recipe: What is trained and how.
        images: What on.
        at: Steps, rising, 0 for the start; past the last of them there is no training.
        store: Where states are kept.
        device: Where to train; None takes a GPU, where there is one.
        on_step: As for `Training.run`. What it changes is no part of the recipe, so a store must be told by its own
            inputs.
        advance: Told of steps, in all as many as the last of `at`.

    Yields:
        What there is to look at, each step of `at` in turn.

    Raises:
        AnalysisError: The recipe is for other images, the steps don't rise within the plan, or training diverges.
        CalibrationError: The disk refuses.
    """
    training = begun(recipe, images, device)
    if list(at) != sorted(set(at)) or not at or at[0] < 0 or at[-1] > recipe.plan.steps:
        raise AnalysisError(f"training: checkpoints must rise within 0..{recipe.plan.steps}, not {list(at)}")
    depends = kept_under(recipe, device)
    for step, state in stops(training, at, store=store, depends=depends, on_step=on_step, advance=advance):
        yield Checkpoint(step, copy.deepcopy(training.module).eval(), state)


def stops(
    training: Training,
    at: Sequence[int],
    *,
    store: StageStore | None,
    depends: Mapping[str, Any],
    on_step: Callable[[Training], None] | None = None,
    advance: Advance | None = None,
) -> Generator[tuple[int, Arrays]]:
    """Train, and stop at chosen steps, each kept; the last that is kept already is where it goes on.

    Args:
        training: At its start.
        at: Steps, rising.
        store: Where states are kept; None keeps none.
        depends: All that the training follows from, JSON values.
        on_step: As for `Training.run`.
        advance: Told of steps.

    Yields:
        Each step, and the training's state at it.
    """
    for step in at:
        state = store.find(_KEPT, recipe=depends, step=step) if store else None
        if state is None:
            training.run(step, on_step=on_step, advance=advance)
            state = training.state()
            if store:
                store.keep(_KEPT, state, recipe=depends, step=step)
        else:
            if advance:
                advance(step - training.step)
            training.restore(state)
        yield step, state


def kept_under(recipe: TrainingRecipe, device: torch.device | None) -> dict[str, Any]:
    """What a state that is kept depends on, JSON values: the recipe, and which kind of processor did the sums."""
    return recipe.to_json() | {"device": (device or default_device()).type}


def trained(
    recipe: TrainingRecipe,
    images: LabelledImages,
    *,
    store: StageStore | None = None,
    device: torch.device | None = None,
    advance: Advance | None = None,
) -> nn.Module:
    """The network at the end of its training, in evaluation mode; see `checkpoints`."""
    (end,) = checkpoints(recipe, images, (recipe.plan.steps,), store=store, device=device, advance=advance)
    return end.module


def weights_at(recipe: TrainingRecipe, checkpoint: Checkpoint, given: None) -> Arrays:
    """A measure for `Runs`: the weights themselves."""
    del recipe, given
    return checkpoint.weights


@dataclass(frozen=True, eq=False)
class Runs:
    """What all runs of a job share.

    Args:
        images: What they are trained on.
        at: The steps at which they are looked at, as for `checkpoints`.
        measure: What is to be known of a checkpoint, given its recipe and `given`: a function of a module, so that
            another process finds it by its name. Its arrays have the same shapes at every checkpoint.
        given: What that takes besides.
    """

    images: LabelledImages
    at: tuple[int, ...]
    measure: Callable[[TrainingRecipe, Checkpoint, Any], Arrays] = weights_at
    given: Any = None


def runs_job(title: str, recipes: Sequence[TrainingRecipe], runs: Runs) -> Job:
    """Several trainings, each a shard: the arrays of `runs.measure`, (recipes, checkpoints, ...).

    A run that is interrupted starts anew; those that are finished are kept.

    Args:
        title: For people who watch.
        recipes: Of one shape of answers: with `weights_at`, of one architecture.
        runs: What they share.
    """
    cut = tuple(Shard(i, slice(i, i + 1), runs.at[-1] + len(runs.at)) for i in range(len(recipes)))
    return Job(title, _run, runs, lambda shard: recipes[shard.number], cut)


def _run(models: Models, runs: Runs, recipe: TrainingRecipe, advance: Advance) -> Arrays:
    del models
    found = []
    for checkpoint in checkpoints(recipe, runs.images, runs.at, advance=advance):
        found.append(runs.measure(recipe, checkpoint, runs.given))
        advance(1)
    return {name: np.stack([arrays[name] for arrays in found])[None] for name in found[0]}
