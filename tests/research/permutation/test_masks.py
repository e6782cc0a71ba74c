from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.errors import AnalysisError
from detector.research.permutation.masks import permuted_masks, shuffled_masks
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.networks import Architecture
from detector.research.permutation.spec import inverse, permuted, random_permutations
from detector.training.data import LabelledImages
from detector.training.kinds import OptimiserKind
from detector.training.plan import Optimiser, TrainingPlan
from detector.training.pruning import PruningPlan, pruned
from detector.training.recipe import TrainingRecipe
from detector.training.runs import begun
from detector.training.trainer import weights_of

if TYPE_CHECKING:
    from detector.training.pruning import Masks
    from detector.training.trainer import Training

RNG = np.random.default_rng(0)
IMAGES = LabelledImages(RNG.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8), RNG.integers(0, 3, 60), 3)
PLAN = TrainingPlan(steps=8, batch=20, optimiser=Optimiser(kind=OptimiserKind.SGD, learning_rate=0.05))


@pytest.mark.parametrize("name", ["mlp-9-7", "cnn-4-6-layernorm", "resnet8-4"])
def test_a_permuted_network_is_left_what_the_network_is_left(name: str) -> None:
    recipe = TrainingRecipe.of(name, IMAGES, PLAN)
    architecture = Architecture.of(recipe)
    *_, last = pruned(recipe, IMAGES, PruningPlan(levels=2, share=0.4))
    moves = random_permutations(architecture.spec, 1)
    state = {key: torch.from_numpy(value) for key, value in last.weights.items()}
    moved, masks = permuted(architecture.spec, state, moves), permuted_masks(architecture.spec, last.masks, moves)
    assert masks.keys() == last.masks.keys()
    for key, mask in masks.items():
        np.testing.assert_array_equal(moved[key].numpy() != 0, mask)
    assert any(not np.array_equal(mask, last.masks[key]) for key, mask in masks.items())
    back = permuted_masks(architecture.spec, masks, inverse(moves))
    assert all(np.array_equal(back[key], mask) for key, mask in last.masks.items())


def test_training_under_a_mask_that_is_carried_over_is_that_of_its_owner() -> None:
    """From permuted first weights, under the mask that weight matching carries over, come the permuted last weights."""
    recipe = TrainingRecipe.of("mlp-9-7", IMAGES, PLAN)
    spec = Architecture.of(recipe).spec
    *_, last = pruned(recipe, IMAGES, PruningPlan(levels=2, share=0.4))
    start = begun(recipe, IMAGES).state()
    first = {key: torch.from_numpy(value) for key, value in weights_of(start).items()}
    other = permuted(spec, first, random_permutations(spec, 2))
    matched = match_weights(spec, [first], [other], MatchingOptions()).permutations
    training = begun(recipe, IMAGES)
    training.restore(start | {f"weights/{key}": value.numpy() for key, value in other.items()})
    carried = permuted_masks(spec, last.masks, inverse(matched))
    ended = {key: torch.from_numpy(value) for key, value in _ended(training, carried).items()}
    for key, value in permuted(spec, ended, matched).items():
        torch.testing.assert_close(value, torch.from_numpy(last.weights[key]), rtol=1e-3, atol=1e-5)


def _ended(training: Training, masks: Masks) -> dict[str, np.ndarray]:
    gone = {key: torch.from_numpy(~mask) for key, mask in masks.items()}
    training.clear(gone)
    training.run(on_step=lambda stepped: stepped.clear(gone))
    return weights_of(training.state())


def test_a_shuffled_mask_leaves_as_much_of_each_tensor() -> None:
    masks = {"a": RNG.random((20, 30)) < 0.3, "b": RNG.random((5, 4, 3, 3)) < 0.8}
    found, again = shuffled_masks(masks, 1), shuffled_masks(masks, 1)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        assert found[name].shape == mask.shape
        assert found[name].sum() == mask.sum()
        assert not np.array_equal(found[name], mask)
        np.testing.assert_array_equal(found[name], again[name])


@pytest.mark.parametrize("name", ["2.weight", "nothing"])
def test_masks_of_another_architecture_are_refused(name: str) -> None:
    spec = Architecture.of(TrainingRecipe.of("mlp-9-7", IMAGES, PLAN)).spec
    with pytest.raises(AnalysisError, match=rf"masks: {name} has the shape \(2, 2\), not"):
        permuted_masks(spec, {name: np.ones((2, 2), np.bool_)}, {})
