from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec, OutputKind
from detector.classifiers.ensemble import ensemble_of
from detector.classifiers.export import export_onnx, export_program
from detector.classifiers.loading import load_classifier
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch import TorchClassifier
from detector.classifiers.torch_sources import load_exported

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array

SPEC = ImageSpec(height=6, width=6, channel_order=ChannelOrder.GRAY)
IMAGES = probe_images(SPEC, 7)


class Viewing(nn.Module):
    """A convolution whose features are viewed as rows, by a batch size that is a mere number once it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = nn.Conv2d(1, 5, 3), nn.Linear(80, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.features(images)
        logits: torch.Tensor = self.head(features.view(features.shape[0], -1))
        return logits


def network(seed: int, *, softmax: bool = False, classes: int = 4) -> TorchClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(36, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, classes)]
        return TorchClassifier(nn.Sequential(*layers, *([nn.Softmax(1)] if softmax else [])), SPEC)


def _probabilities(logits: Float32Array) -> Float32Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def test_an_ensemble_of_one_is_that_network() -> None:
    alone = network(0)
    np.testing.assert_array_equal(ensemble_of([alone]).logits(IMAGES), alone.logits(IMAGES))


def test_networks_from_files_make_an_ensemble_for_any_number_of_images(tmp_path: Path) -> None:
    """Programs that were traced once fix the size of the example's batch, which is opened again afterwards."""
    networks = []
    for seed in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = Viewing()
        export_program(TorchClassifier(module, SPEC), tmp_path / f"{seed}.pt2")
        networks.append(load_exported(tmp_path / f"{seed}.pt2").classifier(SPEC))
    together = ensemble_of(networks)
    served = OnnxClassifier(export_onnx(together), spec=SPEC)
    assert served.fixed_batch is None
    np.testing.assert_allclose(served.logits(IMAGES), together.logits(IMAGES), rtol=1e-4, atol=1e-4)


def test_an_ensemble_gives_the_mean_of_logits() -> None:
    networks = [network(seed) for seed in range(3)]
    by_hand = sum(each.logits(IMAGES) for each in networks) / 3
    together = ensemble_of(networks)
    np.testing.assert_allclose(together.logits(IMAGES), by_hand, atol=1e-6)
    assert together.output_kind is OutputKind.LOGITS


def test_that_is_the_geometric_mean_of_probabilities() -> None:
    networks = [network(seed) for seed in range(3)]
    product = np.prod([_probabilities(each.logits(IMAGES)) for each in networks], axis=0) ** (1 / 3)
    found = _probabilities(ensemble_of(networks).logits(IMAGES))
    np.testing.assert_allclose(found, product / product.sum(axis=1, keepdims=True), atol=1e-6)


def test_of_networks_that_give_probabilities_the_logarithms_are_averaged() -> None:
    plain, soft = ([network(seed, softmax=softmax) for seed in range(3)] for softmax in (False, True))
    assert soft[0].output_kind is OutputKind.PROBABILITIES
    one, other = (_probabilities(ensemble_of(each).logits(IMAGES)) for each in (plain, soft))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_its_gradient_is_the_mean_of_the_gradients() -> None:
    networks = [network(seed) for seed in range(2)]

    def gradient(classifier: TorchClassifier) -> Float32Array:
        images = torch.from_numpy(IMAGES).clone().requires_grad_(True)
        (found,) = torch.autograd.grad(classifier.differentiable_logits(images)[:, 0].sum(), images)
        return found.numpy()

    mean = (gradient(networks[0]) + gradient(networks[1])) / 2
    np.testing.assert_allclose(gradient(ensemble_of(networks)), mean, atol=1e-6)


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_it_is_written_and_loaded_as_any_classifier(tmp_path: Path, suffix: str) -> None:
    together = ensemble_of([network(seed) for seed in range(3)])
    file = tmp_path / f"ensemble{suffix}"
    (export_program if suffix == ".pt2" else export_onnx)(together, file)
    loaded = load_classifier(file)
    np.testing.assert_allclose(loaded.classifier.logits(IMAGES), together.logits(IMAGES), atol=1e-5)
    np.testing.assert_allclose(loaded.gradients().logits(IMAGES), together.logits(IMAGES), atol=1e-5)


def test_programs_make_an_ensemble_too(tmp_path: Path) -> None:
    networks = [network(seed) for seed in range(2)]
    for number, each in enumerate(networks):
        export_program(each, tmp_path / f"{number}.pt2")
    loaded = [load_classifier(tmp_path / f"{number}.pt2").gradients() for number in range(2)]
    together = ensemble_of(loaded)
    export_onnx(together, tmp_path / "both.onnx")
    wanted = ensemble_of(networks).logits(IMAGES)
    np.testing.assert_allclose(OnnxClassifier(tmp_path / "both.onnx").logits(IMAGES), wanted, atol=1e-5)
