"""Iterative magnitude pruning with rewinding (Frankle et al., arXiv 1912.05671): train, prune, rewind, train again.

Level 0 is the dense network. Each further level prunes a share of the weights that are left, those of the least
magnitude at the end of the level before, in all layers together; the others go back to what they were at one early
step, and are trained to the end again. Rewinding takes the whole training back: the optimiser's memory and the order of
images too, so that a level sees the very batches that the dense network saw from that step on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from detector.errors import AnalysisError
from detector.shards.base import Job, Shard
from detector.training.runs import begun, checkpoints, kept_under
from detector.training.trainer import weights_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from detector.progress import Advance
    from detector.shards.base import Models
    from detector.shards.stages import Arrays, StageStore
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe
    from detector.training.trainer import Training

    Masks = dict[str, NDArray[np.bool_]]
    """By a tensor's name which of its weights are left, of its shape; a tensor that is not named is left whole."""

MAX_LEVELS: Final = 100
WEIGHTS: Final = "weights/"
MASKS: Final = "masks/"
_KEPT = "pruning level"
_LEAST_AXES = 2


@dataclass(frozen=True, kw_only=True)
class PruningPlan:
    """How a network is pruned.

    Args:
        levels: How often.
        share: Of the weights that are left, pruned each time, between 0 and 1; at least one weight is.
        rewind_step: The step of the dense training that the weights which are left go back to; below its last.
        output_layer: Whether the last layer's weights take part. Those of all others do, biases and the scales of
            norms never.

    Raises:
        AnalysisError: A value is out of range.
    """

    levels: int = 8
    share: float = 0.2
    rewind_step: int = 0
    output_layer: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= MAX_LEVELS:
            raise AnalysisError(f"pruning: levels must lie in 1..{MAX_LEVELS}, not {self.levels}")
        if not 0 < self.share < 1:
            raise AnalysisError(f"pruning: share must lie between 0 and 1, not {self.share}")
        if self.rewind_step < 0:
            raise AnalysisError(f"pruning: rewind_step must not be negative, not {self.rewind_step}")

    def left(self, weights: int) -> tuple[int, ...]:
        """How many weights are left at each level, the dense one first, of those that take part."""
        counts = [weights]
        for _ in range(self.levels):
            counts.append(counts[-1] - self._gone(counts[-1]))
        return tuple(counts)

    def everything(self, module: nn.Module) -> Masks:
        """Masks of what takes part, with nothing pruned.

        Raises:
            AnalysisError: Nothing takes part.
        """
        weights = [(name, value) for name, value in module.named_parameters() if value.ndim >= _LEAST_AXES]
        if not self.output_layer:
            weights = weights[:-1]
        if not weights:
            raise AnalysisError("pruning: the network has no weights that could be pruned")
        return {name: np.ones(tuple(value.shape), np.bool_) for name, value in weights}

    def next_masks(self, weights: Arrays, masks: Masks) -> Masks:
        """Prune once more, by magnitude over all tensors together; of equals the first go.

        Raises:
            AnalysisError: Nothing would be left of a tensor. Its layer would answer the same to every image.
        """
        magnitudes = np.concatenate([np.abs(weights[name][mask]) for name, mask in masks.items()])
        stays = np.ones(len(magnitudes), np.bool_)
        stays[np.argsort(magnitudes, kind="stable")[: self._gone(len(magnitudes))]] = False
        following = {}
        for (name, mask), part in zip(masks.items(), np.split(stays, _ends(masks)), strict=True):
            if not part.any():
                raise AnalysisError(f"pruning: nothing would be left of {name}; ask for fewer levels or a lower share")
            following[name] = mask.copy()
            following[name][mask] = part
        return following

    def _gone(self, left: int) -> int:
        return min(left, max(1, round(self.share * left)))


def _ends(masks: Masks) -> list[int]:
    """Where each tensor's weights end among those of all that are left, but for the last."""
    return np.cumsum([mask.sum() for mask in masks.values()])[:-1].tolist()


def density(masks: Mapping[str, NDArray[np.bool_]]) -> float:
    """The share of weights that is left of those that take part."""
    return float(sum(mask.sum() for mask in masks.values()) / sum(mask.size for mask in masks.values()))


@dataclass(frozen=True, eq=False)
class PrunedLevel:
    """A network that was pruned so many times and trained to the end.

    Args:
        level: How many times.
        weights: Its parameters and buffers by name; zero where a mask says so.
        masks: What is left.
    """

    level: int
    weights: Arrays
    masks: Masks


def pruned(
    recipe: TrainingRecipe,
    images: LabelledImages,
    plan: PruningPlan,
    *,
    store: StageStore | None = None,
    device: torch.device | None = None,
    advance: Advance | None = None,
) -> Generator[PrunedLevel]:
    """Train and prune.

    With a store every level is kept as it is done, and a pruning that was interrupted goes on after the last.

    Args:
        recipe: Of the dense network; every level is trained to the end of its plan.
        images: What on.
        plan: How it is pruned.
        store: Where levels are kept.
        device: Where to train; None takes a GPU, where there is one.
        advance: Told of steps, in all `steps(recipe, plan)`.

    Yields:
        Each level, the dense network first.

    Raises:
        AnalysisError: The recipe is for other images; it has no step to rewind to, or none after it; nothing would be
            left of a layer; or training diverges.
        CalibrationError: The disk refuses.
    """
    _check_rewind(recipe, plan.rewind_step)
    at = (plan.rewind_step, recipe.plan.steps)
    rewound, dense = checkpoints(recipe, images, at, store=store, device=device, advance=advance)
    last = PrunedLevel(0, dense.weights, plan.everything(dense.module))
    yield last
    how = {name: value for name, value in asdict(plan).items() if name != "levels"}  # more of them may follow later
    depends = {"recipe": kept_under(recipe, device), "pruning": how}
    for level in range(1, plan.levels + 1):
        found = store.find(_KEPT, **depends, level=level) if store else None
        if found is None:
            masks = plan.next_masks(last.weights, last.masks)
            training = begun(recipe, images, device)
            training.restore(rewound.state)
            last = PrunedLevel(level, _ended(training, masks, advance), masks)
            if store:
                store.keep(_KEPT, _joined(last), **depends, level=level)
        else:
            last = PrunedLevel(level, _named(found, WEIGHTS), _named(found, MASKS))
            if advance:
                advance(recipe.plan.steps - plan.rewind_step)
        yield last


def steps(recipe: TrainingRecipe, plan: PruningPlan) -> int:
    """Of training, in all levels together."""
    return recipe.plan.steps + plan.levels * (recipe.plan.steps - plan.rewind_step)


def trained_under(
    recipe: TrainingRecipe,
    images: LabelledImages,
    masks: Masks,
    *,
    rewind_step: int = 0,
    device: torch.device | None = None,
    advance: Advance | None = None,
) -> Arrays:
    """A network trained with weights that another's pruning left, say, or none in particular.

    Args:
        recipe: Of the network.
        images: What on.
        masks: What is left of it.
        rewind_step: The step, below the last, before which it is trained dense.
        device: Where to train; None takes a GPU, where there is one.
        advance: Told of steps, in all as many as are planned.

    Returns:
        Its parameters and buffers by name at the end.

    Raises:
        AnalysisError: Masks are not this network's, or name no parameter of it; or as for `pruned`.
    """
    _check_rewind(recipe, rewind_step)
    training = begun(recipe, images, device)
    shapes = {name: tuple(value.shape) for name, value in training.module.named_parameters()}
    for name, mask in masks.items():
        if name not in shapes:
            raise AnalysisError(f"masks: the network has no parameter {name}")
        if mask.dtype != np.bool_ or mask.shape != shapes[name]:
            raise AnalysisError(f"masks: {name} must be bool {shapes[name]}, not {mask.dtype} {mask.shape}")
    training.run(rewind_step, advance=advance)
    return _ended(training, masks, advance)


def _ended(training: Training, masks: Masks, advance: Advance | None) -> Arrays:
    """Trained to the end with pruned weights at zero, before the first step and after each."""
    device = next(training.module.parameters()).device
    gone = {name: torch.from_numpy(~mask).to(device) for name, mask in masks.items()}
    training.clear(gone)
    training.run(on_step=lambda stepped: stepped.clear(gone), advance=advance)
    return weights_of(training.state())


def _check_rewind(recipe: TrainingRecipe, rewind_step: int) -> None:
    if not 0 <= rewind_step < recipe.plan.steps:
        raise AnalysisError(f"pruning: rewind_step must lie in 0..{recipe.plan.steps - 1}, not {rewind_step}")


def _joined(level: PrunedLevel) -> Arrays:
    parts: tuple[tuple[str, Mapping[str, NDArray[Any]]], ...] = ((WEIGHTS, level.weights), (MASKS, level.masks))
    return {prefix + name: value for prefix, part in parts for name, value in part.items()}


def _named(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


@dataclass(frozen=True, eq=False)
class PruningRuns:
    """What all sequences of a job share.

    Args:
        images: What networks are trained on.
        plan: How they are pruned.
    """

    images: LabelledImages
    plan: PruningPlan


def pruning_job(title: str, recipes: Sequence[TrainingRecipe], runs: PruningRuns) -> Job:
    """Several networks pruned level by level, each a shard.

    Its arrays, ``weights/NAME`` and ``masks/NAME``, are (recipes, levels + 1, ...). A sequence that is interrupted
    starts anew; those that are finished are kept.

    Args:
        title: For people who watch.
        recipes: Of one architecture.
        runs: What they share.
    """
    cut = tuple(Shard(i, slice(i, i + 1), steps(recipe, runs.plan)) for i, recipe in enumerate(recipes))
    return Job(title, _run, runs, lambda shard: recipes[shard.number], cut)


def _run(models: Models, runs: PruningRuns, recipe: TrainingRecipe, advance: Advance) -> Arrays:
    del models
    levels = [_joined(level) for level in pruned(recipe, runs.images, runs.plan, advance=advance)]
    return {name: np.stack([arrays[name] for arrays in levels])[None] for name in levels[0]}
