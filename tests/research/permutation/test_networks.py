from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.progress import Silence
from detector.research.networks import trained_networks
from detector.research.permutation.networks import SHORT, Architecture, NetworkOptions, at_width
from detector.research.permutation.spec import permuted, random_permutations
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = labelled_digits().take(range(200))


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("mlp", "mlp-8-8"),
        ("mlp-1-2-1", "mlp-8-16-8"),
        ("resnet20", "resnet20-8-layernorm"),
        ("resnet14-1-batchnorm", "resnet14-8-batchnorm"),
    ],
)
def test_widths_are_counted_in_units(architecture: str, name: str) -> None:
    assert at_width(architecture, 8) == name


@pytest.mark.parametrize("architecture", ["resnet14", "vgg", "mlp-plain", "mlp-0"])
def test_what_is_no_architecture_is_refused(architecture: str) -> None:
    with pytest.raises(AnalysisError, match=r"architecture|no network is called|widths must lie"):
        at_width(architecture, 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must lie in 1"),
        ({"epochs": 1001}, "epochs must lie in 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"architecture": "vgg-1"}, "no network is called"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        NetworkOptions(**given)


@pytest.mark.parametrize("architecture", SHORT)
def test_every_word_alone_names_a_network_whose_symmetries_are_proved(architecture: str) -> None:
    options = NetworkOptions(architecture=architecture)
    found = Architecture.of(options.recipe(2, IMAGES, 0))
    assert found.spec.groups


def test_networks_are_trained_once_and_permuting_them_changes_nothing(tmp_path: Path) -> None:
    options = NetworkOptions(epochs=2, augment=True)
    recipes = [options.recipe(6, IMAGES, seed) for seed in (0, 1)]
    assert recipes[0].plan.augmentation.shift == 1
    workplace = Workplace(None, StageStore(tmp_path, {}), LocalRunner(None), Silence(), tmp_path)
    weights = trained_networks(workplace, "Training", recipes, IMAGES, [0, 4])
    again = trained_networks(workplace, "Training", recipes, IMAGES, [0, 4])
    assert options.epoch_steps(IMAGES) == 2
    architecture = Architecture.of(recipes[0])
    for network in range(2):
        for step in range(2):
            state = architecture.state(weights, network, step)
            for name, value in state.items():
                assert torch.equal(value, architecture.state(again, network, step)[name])
            moved = permuted(architecture.spec, state, random_permutations(architecture.spec, 3))
            batch = torch.from_numpy(IMAGES.canonical)
            answers = [architecture.program.logits(batch, one) for one in (state, moved)]
            torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    assert np.abs(weights["2.weight"][0] - weights["2.weight"][1]).max() > 0.01


def test_an_architecture_without_hidden_units_is_refused_by_name() -> None:
    recipe = replace(NetworkOptions().recipe(2, IMAGES, 0), architecture="mlp-1")
    with pytest.raises(AnalysisError, match="mlp-1: none of its units can be permuted"):
        Architecture.of(recipe)
