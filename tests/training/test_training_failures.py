from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from detector.data.source import ImageSet
from detector.errors import AnalysisError
from detector.training.architectures import build_network
from detector.training.data import LabelledImages
from detector.training.kinds import ScheduleKind
from detector.training.plan import Adversary, Augmentation, Optimiser, Schedule, TrainingPlan
from detector.training.recipe import TrainingRecipe
from detector.training.runs import checkpoints, trained
from detector.training.trainer import Training, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

PIXELS = np.zeros((4, 1, 2, 2), np.uint8)
LABELS = np.array([0, 1, 0, 1])
IMAGES = LabelledImages(PIXELS, LABELS, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg-16", "no network is called 'vgg-16'; such as mlp-256-256"),
        ("mlp", "no network is called"),
        ("mlp-", "no network is called"),
        ("mlp-8-banana", "no network is called"),
        ("mlp3-8", "widths and no depth, as in mlp-16-32"),
        ("resnet-16", "a depth and one width, as in resnet8-16"),
        ("resnet20-16-32", "a depth and one width"),
        ("resnet9-16", "8, 14, 20"),
        ("resnet2-16", "8, 14, 20"),
        ("resmlp0-16", r"a depth in 1..1000"),
        ("mlp-0", r"widths must lie in 1..65536"),
        ("mlp-99999999", r"widths must lie in"),
    ],
)
def test_a_network_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        TrainingRecipe(architecture=name, data="", shape=(1, 8, 8), classes=2)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.0,)), ((0.5, 0.5), (1.0, 1.0)), ((), (1.0,)), ((0.5,), ())])
def test_pixels_are_standardised_by_one_pair_of_numbers_for_each_channel(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(AnalysisError, match="means and positive deviations"):
        build_network("mlp-4", (1, 2, 2), 2, mean=mean, std=std)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingPlan(steps=0), "steps"),
        (lambda: TrainingPlan(batch=0), "batch"),
        (lambda: Optimiser(learning_rate=0), "learning_rate"),
        (lambda: Optimiser(learning_rate=float("nan")), "learning_rate"),
        (lambda: Optimiser(momentum=1), "momentum"),
        (lambda: Optimiser(weight_decay=-1), "weight_decay"),
        (lambda: Augmentation(shift=-1), "shift"),
        (lambda: Adversary(level=0), "level must lie in 0..255"),
        (lambda: Adversary(level=256), "level must lie in"),
        (lambda: Adversary(level=float("nan")), "level must lie in"),
        (lambda: Adversary(level=8, steps=0), "steps in 1..1000"),
        (lambda: Adversary(level=8, ramp=-1), "ramp must not be negative"),
        (lambda: Schedule(warm_up=-1), "warm_up"),
        (lambda: Schedule(factor=0), "factor"),
        (lambda: Schedule(milestones=(3,)), "milestones belong to"),
        (lambda: Schedule(kind=ScheduleKind.MILESTONES), "milestones belong to"),
        (lambda: Schedule(kind=ScheduleKind.MILESTONES, milestones=(3, 3)), "must rise"),
        (lambda: Schedule(kind=ScheduleKind.ONE_CYCLE, warm_up=2), "warm-up of its own"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        make()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (PIXELS[0], LABELS, "images: .N, channels"),
        (PIXELS.astype(float), LABELS, "uint8 or float32"),
        (PIXELS[:0], LABELS[:0], "N at least 1"),
        (PIXELS, LABELS[:3], "labels: one for each of 4 images"),
        (PIXELS, LABELS + 1, r"in 0..1, not 1..2"),
        (PIXELS, LABELS - 1, r"in 0..1, not -1..0"),
        (np.full((4, 1, 2, 2), 2, np.float32), LABELS, r"\[0, 1\]"),
        (np.full((4, 1, 2, 2), np.nan, np.float32), LABELS, "no NaN"),
    ],
)
def test_images_that_are_none_are_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        LabelledImages(images, labels, 2)


def test_a_set_without_labels_can_not_be_trained_on() -> None:
    unlabelled = ImageSet(pixels=PIXELS.transpose(0, 2, 3, 1), labels=None, names=("a", "b", "c", "d"))
    with pytest.raises(AnalysisError, match="no labels"):
        LabelledImages.of(unlabelled)


@pytest.mark.parametrize("first", [0, 4])
def test_neither_part_of_a_split_is_empty(first: int) -> None:
    with pytest.raises(AnalysisError, match="can't be split"):
        IMAGES.split(first, 0)


def test_a_recipe_is_for_its_own_images() -> None:
    recipe = TrainingRecipe.of("mlp-4", IMAGES, TrainingPlan(steps=1))
    with pytest.raises(AnalysisError, match="for other images"):
        trained(recipe, IMAGES.take([1, 0]))


@pytest.mark.parametrize("at", [(), (3, 2), (2, 2), (-1,), (11,)])
def test_checkpoints_rise_within_the_plan(at: tuple[int, ...]) -> None:
    recipe = TrainingRecipe.of("mlp-4", IMAGES, TrainingPlan(steps=10))
    with pytest.raises(AnalysisError, match=r"must rise within 0\.\.10"):
        list(checkpoints(recipe, IMAGES, at))


def test_a_training_that_diverges_says_so() -> None:
    images = LabelledImages(np.random.default_rng(0).random((8, 1, 2, 2), np.float32), np.arange(8) % 2, 2)
    plan = TrainingPlan(steps=40, optimiser=Optimiser(learning_rate=1e30))
    with pytest.raises(AnalysisError, match="not finite before step 40; lower the learning rate"):
        trained(TrainingRecipe.of("mlp-4-4", images, plan), images)


def test_examples_and_targets_are_as_many() -> None:
    generator = torch.Generator()
    with pytest.raises(AnalysisError, match="3 examples and 2 targets"):
        Training(nn.Linear(2, 2), torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), TrainingPlan(), generator)
    augmented = TrainingPlan(augmentation=Augmentation(flips=True))
    with pytest.raises(AnalysisError, match="only images can be augmented"):
        Training(nn.Linear(2, 2), torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), augmented, generator)


def test_the_weights_of_another_network_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"another network's.*size mismatch"):
        load_weights(nn.Linear(2, 2), {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(3, np.float32)})


def test_a_classifier_sees_grey_or_colours() -> None:
    recipe = TrainingRecipe(architecture="mlp-4", data="", shape=(2, 4, 4), classes=2)
    with pytest.raises(AnalysisError, match="2 channels"):
        recipe.classifier(recipe.network())
