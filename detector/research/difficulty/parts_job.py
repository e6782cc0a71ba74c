"""Runs that each train on a part of the images and say what they make of all: what memory and mistakes are told by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import softmax

from detector.errors import AnalysisError
from detector.research.difficulty.ensemble import parts
from detector.research.difficulty.kinds import AVERAGE
from detector.research.difficulty.observing import Observer, Watch, outputs
from detector.research.difficulty.options import MAX_NUMBERS, MAX_RUNS
from detector.research.difficulty.runs_job import looked_at
from detector.shards.base import Job, Shard
from detector.training.runs import checkpoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.progress import Advance
    from detector.research.difficulty.options import DifficultyOptions
    from detector.research.studies import Workplace
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe

RANKED: Final = f"{AVERAGE}el2n"
"""The score that images are ranked by: bounded, so that no run outweighs the others."""
_VOTES = 3  # of runs that did not train on it, at least, for every image


@dataclass(frozen=True, eq=False)
class PartRuns:
    """What runs on parts of the images say of all of them.

    Args:
        trained_on: bool (runs, N).
        predicted: int64 (runs, N), at the end of training.
        learnt: bool (runs, N), whether a checkpoint was right.
        ranked: float64 (runs, N), `RANKED`, the higher, the harder.
        shares: float64 (N, classes), probabilities at the end, the mean over runs that did not train on the image.
    """

    trained_on: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    learnt: NDArray[np.bool_]
    ranked: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Shared:
    images: LabelledImages
    checkpoints: int


def part_runs(workplace: Workplace, options: DifficultyOptions) -> PartRuns:
    """Runs of all architectures, found or computed; every image is left out by as many of them as every other.

    There are as many of each architecture as there are folds, or twice or three times as many, so that three runs or
    more that did not train on it say what an image shows.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few or too many images, or training diverges.
        CalibrationError: The disk refuses.
    """
    images, names = options.images, options.chosen
    each = options.folds * -(-_VOTES // len(names))
    needed = each * len(names) * len(images) * images.classes
    if each > MAX_RUNS or needed > MAX_NUMBERS:
        raise AnalysisError(
            f"cleaning: {each} runs of each architecture on parts of {len(images)} images give {needed} probabilities, "
            f"more than the {MAX_NUMBERS} that are held at once; take fewer images, architectures or folds"
        )
    found: list[Arrays] = []
    chosen: list[NDArray[np.bool_]] = []
    for place, name in enumerate(names):
        trained_on = parts(len(images), each, options.folds, options.seed * len(names) + place)
        recipes = [
            options.recipes(name, images.take(np.flatnonzero(rows)), 1, first=MAX_RUNS + number)[0]
            for number, rows in enumerate(trained_on)
        ]
        job = partial(_parts_job, f"Training on parts, {name}", recipes, trained_on, images, options.training.epochs)
        told = {"recipes": [recipe.to_json() for recipe in recipes], "images": images.digest}
        found.append(workplace.done("difficulty/parts", job, **told, checkpoints=options.training.epochs))
        chosen.append(trained_on)
    joined = {name: np.concatenate([arrays[name] for arrays in found]) for name in found[0]}
    left_out = ~np.concatenate(chosen)
    weights = left_out / left_out.sum(0)
    return PartRuns(
        trained_on=~left_out,
        predicted=joined["predicted"],
        learnt=joined["learnt"],
        ranked=joined["ranked"],
        shares=np.einsum("rnc,rn->nc", joined["shares"], weights),
    )


def _parts_job(
    title: str,
    recipes: Sequence[TrainingRecipe],
    trained_on: NDArray[np.bool_],
    images: LabelledImages,
    checkpoints: int,
) -> Job:
    cut = tuple(Shard(i, slice(i, i + 1), recipe.plan.steps + checkpoints) for i, recipe in enumerate(recipes))

    def part(shard: Shard) -> tuple[TrainingRecipe, NDArray[np.int64]]:
        return recipes[shard.number], np.flatnonzero(trained_on[shard.number])

    return Job(title, _run, _Shared(images, checkpoints), part, cut)


def _run(models: Models, shared: _Shared, given: tuple[TrainingRecipe, NDArray[np.int64]], advance: Advance) -> Arrays:
    del models
    recipe, rows = given
    mine = shared.images.take(rows)
    watch = Watch(images=mine, held_out=shared.images, checkpoints=shared.checkpoints)
    observer = Observer(watch)
    logits = np.empty((0, shared.images.classes), np.float32)
    for checkpoint in checkpoints(recipe, mine, looked_at(recipe.plan.steps, shared.checkpoints), advance=advance):
        observer.look(checkpoint.module)
        if checkpoint.step == recipe.plan.steps:
            logits = outputs(checkpoint.module, shared.images)
        advance(1)
    found = observer.found()
    return {
        "predicted": found["predicted"][None],
        "learnt": found["learnt"][None],
        "ranked": found["scores"][watch.names.index(RANKED)][None],
        "shares": softmax(logits, axis=1)[None],
    }
