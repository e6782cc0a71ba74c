from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.progress import Silence
from detector.shards.base import LocalRunner
from detector.shards.jobs import run_jobs
from detector.shards.stages import StageStore
from detector.training.data import LabelledImages
from detector.training.kinds import OptimiserKind, Sampling
from detector.training.plan import Augmentation, Optimiser, TrainingPlan
from detector.training.pruning import PruningPlan, PruningRuns, density, pruned, pruning_job, steps, trained_under
from detector.training.recipe import TrainingRecipe
from detector.training.runs import begun, checkpoints, trained
from detector.training.trainer import weights_of

if TYPE_CHECKING:
    from pathlib import Path

    from detector.training.pruning import PrunedLevel

RNG = np.random.default_rng(0)
IMAGES = LabelledImages(RNG.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8), RNG.integers(0, 3, 40), 3)
PLAN = PruningPlan(levels=3, share=0.3, rewind_step=2)
OPTIMISERS = [
    Optimiser(kind=OptimiserKind.SGD, learning_rate=0.05, momentum=0.9, weight_decay=1e-2),
    Optimiser(kind=OptimiserKind.ADAM, learning_rate=0.01, weight_decay=1e-2),
    Optimiser(kind=OptimiserKind.ADAMW, learning_rate=0.01, weight_decay=1e-2),
]


def _recipe(architecture: str = "mlp-7-6", optimiser: Optimiser = OPTIMISERS[0]) -> TrainingRecipe:
    plan = TrainingPlan(steps=9, batch=16, optimiser=optimiser, augmentation=Augmentation(shift=1))
    return TrainingRecipe.of(architecture, IMAGES, plan)


def _same(one: PrunedLevel, other: PrunedLevel) -> bool:
    assert one.level == other.level
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in ((one.weights, other.weights), (one.masks, other.masks))
    )


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda optimiser: str(optimiser.kind))
@pytest.mark.parametrize("architecture", ["mlp-7-6", "cnn-4-5-layernorm", "resnet8-3"])
def test_each_level_has_the_weights_that_were_planned_and_no_other(architecture: str, optimiser: Optimiser) -> None:
    levels = list(pruned(_recipe(architecture, optimiser), IMAGES, PLAN))
    total = sum(mask.size for mask in levels[0].masks.values())
    assert [level.level for level in levels] == [0, 1, 2, 3]
    assert [sum(int(mask.sum()) for mask in level.masks.values()) for level in levels] == list(PLAN.left(total))
    assert density(levels[-1].masks) == pytest.approx(0.7**3, abs=0.02)
    for before, after in pairwise(levels):
        for name, mask in after.masks.items():
            assert not (mask & ~before.masks[name]).any()
            assert (after.weights[name][~mask] == 0).all()
            assert (after.weights[name][mask] != 0).all()
            assert (after.weights[name][mask] != before.weights[name][mask]).any()


def test_counts_are_whole_and_every_level_prunes() -> None:
    assert PruningPlan(levels=3, share=0.2).left(1000) == (1000, 800, 640, 512)
    assert PruningPlan(levels=4, share=0.01).left(3) == (3, 2, 1, 0, 0)


def test_the_least_weights_of_all_layers_together_go_and_of_equals_the_first() -> None:
    weights = {"a": np.array([[1.0, -5.0], [0.5, 9.0]]), "b": np.array([[-0.1, 0.5, 2.0, 0.0]])}
    masks = {"a": np.ones((2, 2), np.bool_), "b": np.array([[True, True, True, False]])}
    found = PruningPlan(share=0.3).next_masks(weights, masks)  # 2 of 7
    np.testing.assert_array_equal(found["a"], [[True, True], [False, True]])
    np.testing.assert_array_equal(found["b"], [[False, True, True, False]])
    assert masks["a"].all()


@pytest.mark.parametrize(
    ("architecture", "output_layer", "names"),
    [
        ("mlp-7-6", True, {"2.weight", "4.weight", "6.weight"}),
        ("mlp-7-6", False, {"2.weight", "4.weight"}),
        ("cnn-4-5-layernorm", True, {"1.weight", "5.weight", "10.weight"}),
    ],
)
def test_weights_of_two_axes_and_more_take_part(architecture: str, output_layer: bool, names: set[str]) -> None:  # noqa: FBT001 - a test's parameter
    masks = replace(PLAN, output_layer=output_layer).everything(_recipe(architecture).network())
    assert set(masks) == names
    assert all(mask.all() for mask in masks.values())


def test_a_level_is_what_a_plain_loop_from_the_rewound_checkpoint_gives() -> None:
    recipe = _recipe()
    rewound, dense = checkpoints(recipe, IMAGES, (PLAN.rewind_step, recipe.plan.steps))
    first, second, *_ = pruned(recipe, IMAGES, PLAN)
    assert all(np.array_equal(first.weights[name], dense.weights[name]) for name in dense.weights)
    masks = PLAN.next_masks(dense.weights, first.masks)
    training = begun(recipe, IMAGES)
    training.restore(rewound.state)
    gone = {name: torch.from_numpy(~mask) for name, mask in masks.items()}
    training.clear(gone)
    started = weights_of(training.state())
    for name, value in rewound.weights.items():
        np.testing.assert_array_equal(started[name], np.where(masks[name], value, 0) if name in masks else value)
    while training.step < recipe.plan.steps:
        training.run(training.step + 1)
        with torch.no_grad():
            for name, parameter in training.module.named_parameters():
                if name in masks:
                    parameter.copy_(parameter * torch.from_numpy(masks[name]))
    for name, value in weights_of(training.state()).items():
        np.testing.assert_array_equal(second.weights[name], value)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda optimiser: str(optimiser.kind))
def test_what_is_cleared_is_forgotten_too(optimiser: Optimiser) -> None:
    training = begun(_recipe(optimiser=optimiser), IMAGES)
    training.run(3)
    training.clear({"2.weight": torch.ones(7, 16, dtype=torch.bool)})
    state = training.state()
    remembered = {name for name, value in state.items() if name.startswith("optimiser/0/") and value.shape == (7, 16)}
    assert remembered
    assert all((state[name] == 0).all() for name in remembered)
    assert (state["weights/2.weight"] == 0).all()
    assert (state["weights/4.weight"] != 0).all()


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_pruning_that_is_interrupted_ends_with_the_very_same_bits(stop: int, tmp_path: Path) -> None:
    recipe = replace(_recipe(), plan=replace(_recipe().plan, sampling=Sampling.REPLACEMENT))
    whole = list(pruned(recipe, IMAGES, PLAN))
    store = StageStore(tmp_path, {})
    interrupted = pruned(recipe, IMAGES, PLAN, store=store)
    for _ in range(stop):
        next(interrupted)
    interrupted.close()  # as an interruption would
    told: list[int] = []
    kept = set(tmp_path.iterdir())
    resumed = list(pruned(recipe, IMAGES, PLAN, store=store, advance=told.append))
    assert all(_same(one, other) for one, other in zip(whole, resumed, strict=True))
    assert kept < set(tmp_path.iterdir())
    assert sum(told) == steps(recipe, PLAN) == 9 + 3 * 7
    longer = list(pruned(recipe, IMAGES, replace(PLAN, levels=4), store=store))
    assert all(_same(one, other) for one, other in zip(whole, longer, strict=False))
    other = list(pruned(recipe, IMAGES, replace(PLAN, share=0.5), store=store))
    assert density(other[-1].masks) == pytest.approx(0.125, abs=0.02)


def test_many_sequences_are_one_job_and_each_is_what_it_is_alone(tmp_path: Path) -> None:
    recipes = [replace(_recipe(), init_seed=seed) for seed in range(2)]
    job = pruning_job("Pruning", recipes, PruningRuns(IMAGES, PLAN))
    store = StageStore(tmp_path, {})
    ((_, arrays),) = run_jobs([job], LocalRunner(None), Silence(), [store.parts("pruning")])
    assert job.steps == 2 * steps(recipes[0], PLAN)
    for number, recipe in enumerate(recipes):
        for level in pruned(recipe, IMAGES, PLAN):
            found = {
                f"{kind}/{name}": value
                for kind, part in (("weights", level.weights), ("masks", level.masks))
                for name, value in part.items()
            }
            assert found.keys() == arrays.keys()
            assert all(np.array_equal(arrays[name][number, level.level], value) for name, value in found.items())


def test_the_first_images_are_at_most_all() -> None:
    np.testing.assert_array_equal(IMAGES.head(3).images, IMAGES.images[:3])
    assert IMAGES.head(40) is IMAGES.head(41) is IMAGES


def test_a_network_can_be_trained_under_any_masks() -> None:
    recipe = _recipe()
    *_, last = pruned(recipe, IMAGES, PLAN)
    again = trained_under(recipe, IMAGES, last.masks, rewind_step=PLAN.rewind_step)
    assert all(np.array_equal(again[name], last.weights[name]) for name in again)
    other = trained_under(replace(recipe, init_seed=1), IMAGES, last.masks)
    for name, mask in last.masks.items():
        assert (other[name][~mask] == 0).all()
        assert (other[name][mask] != last.weights[name][mask]).any()
    whole = trained(recipe, IMAGES).state_dict()
    assert all(np.array_equal(whole[name], value) for name, value in trained_under(recipe, IMAGES, {}).items())
