from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from detector.errors import AnalysisError
from detector.training.data import LabelledImages
from detector.training.plan import TrainingPlan
from detector.training.pruning import PruningPlan, pruned, trained_under
from detector.training.recipe import TrainingRecipe

IMAGES = LabelledImages(np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1]), 2)
RECIPE = TrainingRecipe.of("mlp-3", IMAGES, TrainingPlan(steps=5))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"levels": 0}, r"levels must lie in 1\.\.100, not 0"),
        ({"levels": 101}, "levels must lie in"),
        ({"share": 0.0}, "share must lie between 0 and 1, not 0"),
        ({"share": 1.0}, "share must lie between 0 and 1"),
        ({"share": float("nan")}, "share must lie between 0 and 1"),
        ({"rewind_step": -1}, "rewind_step must not be negative"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        PruningPlan(**given)


@pytest.mark.parametrize("step", [5, 6])
def test_there_must_be_a_step_to_rewind_to_and_one_after_it(step: int) -> None:
    with pytest.raises(AnalysisError, match=rf"rewind_step must lie in 0\.\.4, not {step}"):
        next(pruned(RECIPE, IMAGES, PruningPlan(rewind_step=step)))
    with pytest.raises(AnalysisError, match=rf"rewind_step must lie in 0\.\.4, not {step}"):
        trained_under(RECIPE, IMAGES, {}, rewind_step=step)


def test_a_layer_that_would_be_left_empty_is_named() -> None:
    plan = PruningPlan(levels=100, share=0.5)
    with pytest.raises(AnalysisError, match=r"nothing would be left of \d\.weight; ask for fewer levels"):
        list(pruned(RECIPE, IMAGES, plan))


def test_a_network_without_weights_can_not_be_pruned() -> None:
    with pytest.raises(AnalysisError, match="no weights that could be pruned"):
        PruningPlan().everything(nn.Sequential(nn.Flatten(), nn.LayerNorm(4)))
    with pytest.raises(AnalysisError, match="no weights that could be pruned"):
        PruningPlan(output_layer=False).everything(nn.Linear(4, 2))


def test_pruning_is_for_the_recipes_own_images() -> None:
    with pytest.raises(AnalysisError, match="for other images"):
        next(pruned(RECIPE, IMAGES.take([1, 0]), PruningPlan()))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"2.weight": np.ones((2, 4), np.bool_)}, r"masks: 2\.weight must be bool \(3, 4\), not bool \(2, 4\)"),
        ({"2.weight": np.ones((3, 4))}, r"masks: 2\.weight must be bool \(3, 4\), not float64"),
        ({"nothing": np.ones((3, 4), np.bool_)}, "masks: the network has no parameter nothing"),
    ],
)
def test_masks_of_another_network_are_refused(masks: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        trained_under(RECIPE, IMAGES, masks)
