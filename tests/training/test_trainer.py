from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from detector.progress import Silence
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import run_jobs
from detector.shards.stages import StageStore
from detector.training.augmentation import augmented
from detector.training.data import LabelledImages
from detector.training.kinds import OptimiserKind, Sampling, ScheduleKind
from detector.training.plan import Adversary, Augmentation, Optimiser, Schedule, TrainingPlan, step_sizes
from detector.training.recipe import TrainingRecipe
from detector.training.runs import Runs, checkpoints, runs_job, trained
from detector.training.trainer import Training, drawn

if TYPE_CHECKING:
    from pathlib import Path

    from detector.training.runs import Checkpoint

PLANS = [
    TrainingPlan(steps=9, batch=16),
    TrainingPlan(
        steps=9,
        batch=16,
        optimiser=Optimiser(kind=OptimiserKind.SGD, learning_rate=0.05, weight_decay=1e-3),
        schedule=Schedule(kind=ScheduleKind.ONE_CYCLE),
        augmentation=Augmentation(shift=1, flips=True),
    ),
    TrainingPlan(
        steps=9,
        batch=16,
        optimiser=Optimiser(kind=OptimiserKind.ADAMW),
        schedule=Schedule(kind=ScheduleKind.COSINE, warm_up=3),
        sampling=Sampling.REPLACEMENT,
        augmentation=Augmentation(shift=1, together=True),
        adversary=Adversary(level=8, steps=2, ramp=5),
    ),
]


def _images(count: int = 40, *, seed: int = 0) -> LabelledImages:
    """Bright above or bright below."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    images = generator.integers(0, 80, (count, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 120
    return LabelledImages(images, labels, 2)


def _same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: str(plan.optimiser.kind))
@pytest.mark.parametrize("architecture", ["cnn-4-8-batchnorm", "mlp-8"])
def test_a_training_that_is_interrupted_ends_with_the_very_same_weights(
    plan: TrainingPlan, architecture: str, tmp_path: Path
) -> None:
    images = _images()
    recipe = TrainingRecipe.of(architecture, images, plan)
    (whole,) = checkpoints(recipe, images, (9,))
    store = StageStore(tmp_path, {})
    interrupted = checkpoints(recipe, images, (0, 4, 9), store=store)
    assert [next(interrupted).step for _ in range(2)] == [0, 4]
    interrupted.close()  # as an interruption would
    told: list[int] = []
    steps_taken: list[int] = []
    resumed = list(
        checkpoints(
            recipe,
            images,
            (0, 4, 9),
            store=store,
            on_step=lambda training: steps_taken.append(training.step),
            advance=told.append,
        )
    )
    assert _same(resumed[-1].weights, whole.weights)
    assert not _same(resumed[1].weights, whole.weights)
    assert steps_taken == [5, 6, 7, 8, 9]
    assert sum(told) == 9


def test_a_damaged_state_is_made_again(tmp_path: Path) -> None:
    images = _images()
    recipe = TrainingRecipe.of("mlp-8", images, PLANS[0])
    store = StageStore(tmp_path, {})
    *_, first = checkpoints(recipe, images, (4, 9), store=store)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-5])
    *_, again = checkpoints(recipe, images, (4, 9), store=store)
    assert _same(first.weights, again.weights)


def test_the_recipe_decides_everything_and_each_seed_its_own_part() -> None:
    images = _images()
    recipe = TrainingRecipe.of("mlp-8", images, PLANS[0])

    def ends(changed: TrainingRecipe) -> list[Checkpoint]:
        return list(checkpoints(changed, images, (0, 9)))

    base, again = ends(recipe), ends(recipe)
    other_start, other_order = ends(replace(recipe, init_seed=1)), ends(replace(recipe, order_seed=1))
    assert _same(base[1].weights, again[1].weights)
    assert not _same(base[0].weights, other_start[0].weights)
    assert _same(base[0].weights, other_order[0].weights)
    assert not _same(base[1].weights, other_order[1].weights)


def test_torchs_own_generator_is_left_alone() -> None:
    bits = torch.get_rng_state()
    trained(TrainingRecipe.of("mlp-8", _images(), PLANS[1]), _images())
    assert torch.equal(torch.get_rng_state(), bits)


def test_it_is_the_loop_one_would_write() -> None:
    """A plain loop with PyTorch's own schedule, over the same batches, ends with the same weights."""
    images = _images()
    inputs, labels = torch.from_numpy(images.canonical), torch.from_numpy(images.labels)
    optimiser = Optimiser(kind=OptimiserKind.SGD, learning_rate=0.1)
    plan = TrainingPlan(steps=9, batch=16, optimiser=optimiser, schedule=Schedule(kind=ScheduleKind.ONE_CYCLE))
    recipe = TrainingRecipe.of("mlp-8", images, plan)
    plain = recipe.network()
    sgd = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for rows in torch.split(torch.randperm(40, generator=generator), 16):
            sgd.zero_grad()
            functional.cross_entropy(plain(inputs[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call] # torch's
            sgd.step()
            if cycle.last_epoch < 8:
                cycle.step()
    assert all(
        torch.equal(one, other)
        for one, other in zip(plain.parameters(), trained(recipe, images).parameters(), strict=True)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_whole_levels_and_shares_train_alike(dtype: type) -> None:
    images = _images()
    given = images if dtype is np.uint8 else LabelledImages(images.canonical, images.labels, 2)
    recipe = TrainingRecipe.of("mlp-8", given, PLANS[0])
    expected = trained(TrainingRecipe.of("mlp-8", images, PLANS[0]), images)
    inputs = torch.from_numpy(images.canonical)
    torch.testing.assert_close(trained(recipe, given)(inputs), expected(inputs))


def test_it_learns_what_it_is_to_learn() -> None:
    images, held_out = _images(200), _images(100, seed=1)
    plan = TrainingPlan(steps=60, batch=32, optimiser=Optimiser(learning_rate=0.01))
    recipe = TrainingRecipe.of("resnet8-4", images, plan)
    classifier = recipe.classifier(trained(recipe, images))
    assert (classifier.logits(held_out.canonical).argmax(axis=1) == held_out.labels).mean() > 0.95


def test_the_hook_sees_every_step_and_may_change_the_weights() -> None:
    images = _images()
    recipe = TrainingRecipe.of("mlp-8", images, PLANS[0])
    seen: list[int] = []

    def prune(training: Training) -> None:
        seen.append(training.step)
        training.module.eval()
        with torch.no_grad():
            weights = next(training.module.parameters())
            weights[: len(weights) // 2] = 0

    (end,) = checkpoints(recipe, images, (9,), on_step=prune)
    first = end.weights["2.weight"]
    assert seen == list(range(1, 10))
    assert (first[:4] == 0).all()
    assert (first[4:] != 0).any()
    assert not end.module.training


def test_many_runs_are_one_job_and_each_is_what_it_is_alone(tmp_path: Path) -> None:
    images = _images()
    recipes = [TrainingRecipe.of("mlp-8", images, PLANS[0], init_seed=seed) for seed in range(3)]
    job = runs_job("Training", recipes, Runs(images, (0, 9)))
    store = StageStore(tmp_path, {})
    ((_, arrays),) = run_jobs([job], LocalRunner(_no_models()), Silence(), [store.parts("runs")])
    assert {values.shape[:2] for values in arrays.values()} == {(3, 2)}
    for number, recipe in enumerate(recipes):
        (end,) = checkpoints(recipe, images, (9,))
        assert _same({name: values[number, 1] for name, values in arrays.items()}, end.weights)


def _no_models() -> Models:
    """A job of trainings needs none."""
    return Models(classifier=None, gradients=None)  # type: ignore[arg-type] # not looked at


def test_a_schedule_is_known_from_the_start() -> None:
    optimiser = Optimiser(kind=OptimiserKind.SGD, learning_rate=1.0)
    milestones = Schedule(kind=ScheduleKind.MILESTONES, milestones=(4, 6), factor=0.5, warm_up=2)
    rates = [size.rate for size in step_sizes(TrainingPlan(steps=8, optimiser=optimiser, schedule=milestones))]
    assert rates == [0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    cosine = step_sizes(TrainingPlan(steps=4, optimiser=optimiser, schedule=Schedule(kind=ScheduleKind.COSINE)))
    assert [size.rate for size in cosine] == pytest.approx([1, 0.854, 0.5, 0.146], abs=1e-3)
    one_cycle = step_sizes(TrainingPlan(steps=10, optimiser=optimiser, schedule=Schedule(kind=ScheduleKind.ONE_CYCLE)))
    assert max(size.rate for size in one_cycle) == pytest.approx(1)
    assert one_cycle[0].momentum == pytest.approx(0.95)


@pytest.mark.parametrize("together", [True, False])
def test_a_shifted_image_is_cut_from_the_padded_one(together: bool) -> None:  # noqa: FBT001 - a test's parameter
    images = torch.rand(20, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    moved = augmented(images, Augmentation(shift=2, together=together), torch.Generator().manual_seed(1))
    windows = functional.pad(images, (2, 2, 2, 2)).unfold(2, 5, 1).unfold(3, 4, 1)  # (N, C, row, column, 5, 4)
    places = [
        {(r, c) for r in range(5) for c in range(5) if torch.equal(windows[i, :, r, c], moved[i])} for i in range(20)
    ]
    assert all(places)
    assert (len(set.union(*places)) == 1) == together


def test_flips_mirror_about_half_of_the_images() -> None:
    images = torch.rand(200, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    seen = augmented(images, Augmentation(flips=True), torch.Generator().manual_seed(1))
    mirrored = torch.tensor([torch.equal(one.flip(2), other) for one, other in zip(images, seen, strict=True)])
    assert torch.equal(seen[~mirrored], images[~mirrored])
    assert 70 < mirrored.sum() < 130


def test_any_objective_will_do() -> None:
    module, generator = drawn(0, lambda: nn.Linear(3, 1))
    inputs = torch.randn(64, 3, generator=generator)
    targets = inputs @ torch.tensor([[1.0], [2.0], [3.0]])
    plan = TrainingPlan(steps=300, batch=64, optimiser=Optimiser(learning_rate=0.05))
    Training(module, inputs, targets, plan, generator, objective=functional.mse_loss).run()
    torch.testing.assert_close(module.weight.detach(), torch.tensor([[1.0, 2.0, 3.0]]), atol=0.01, rtol=0)
