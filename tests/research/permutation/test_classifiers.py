from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, Float32Array, ImageSpec, Layout
from detector.classifiers.export import export_onnx, export_program
from detector.classifiers.options import SpecOptions
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch import TorchClassifier
from detector.research.permutation.classifiers import Networks, open_networks
from detector.research.permutation.spec import permuted, random_permutations
from tests.research.permutation.merging_support import IMAGES, SPEC, classifier, different
from tests.research.permutation.networks import Residual, grouped, mlp, shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

CANONICAL = IMAGES.canonical[:9]


def _run(networks: Networks, number: int) -> Float32Array:
    with torch.no_grad():
        return networks.program.logits(torch.from_numpy(CANONICAL), networks.states[number]).numpy()


@pytest.mark.parametrize("builder", [lambda: mlp(12, 9), Residual, shared, grouped])
def test_every_network_answers_through_the_first_ones_program(builder: Callable[[], nn.Module]) -> None:
    networks = different(3, builder)
    for number, each in enumerate(networks.classifiers):
        np.testing.assert_allclose(_run(networks, number), each.logits(CANONICAL), atol=1e-5)


@pytest.mark.parametrize("builder", [lambda: mlp(12, 9), Residual, shared, grouped])
def test_a_state_becomes_a_classifier_that_leaves_the_first_alone(builder: Callable[[], nn.Module]) -> None:
    networks = different(2, builder)
    first = networks.classifiers[0].logits(CANONICAL)
    state = permuted(networks.spec, networks.states[1], random_permutations(networks.spec, 1))
    made = networks.classifier(state, name="made")
    np.testing.assert_allclose(made.logits(CANONICAL), networks.classifiers[1].logits(CANONICAL), atol=1e-5)
    np.testing.assert_array_equal(networks.classifiers[0].logits(CANONICAL), first)


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_networks_come_from_files(tmp_path: Path, suffix: str) -> None:
    wanted = [classifier(seed, Residual) for seed in range(2)]
    files = [str(tmp_path / f"{number}{suffix}") for number in range(2)]
    for each, file in zip(wanted, files, strict=True):
        (export_program if suffix == ".pt2" else export_onnx)(each, file)
    networks = open_networks(files, SpecOptions())
    assert networks.names == tuple(files)
    for number, each in enumerate(wanted):
        np.testing.assert_allclose(_run(networks, number), each.logits(CANONICAL), atol=1e-5)
    made = networks.classifier(networks.states[1], name="made")
    np.testing.assert_allclose(made.logits(CANONICAL), wanted[1].logits(CANONICAL), atol=1e-5)
    export_program(made, tmp_path / "again.pt2")
    export_onnx(made, tmp_path / "again.onnx")


def test_a_graph_that_is_written_otherwise_is_the_same_network(tmp_path: Path) -> None:
    class Otherwise(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            hidden = nn.functional.linear(images.flatten(1), self.get_parameter("1.weight"))
            hidden = torch.clamp_min(hidden + self.get_parameter("1.bias"), 0.0)
            return self[5](self[3](hidden).relu())

    plain, other = classifier(0), classifier(1, lambda: Otherwise(*mlp(12, 9)))
    files = [str(tmp_path / f"{number}.pt2") for number in range(2)]
    for each, file in zip((plain, other), files, strict=True):
        export_program(each, file)
    networks = open_networks(files, SpecOptions())
    np.testing.assert_allclose(_run(networks, 1), other.logits(CANONICAL), atol=1e-5)


def test_programs_speak_of_canonical_images_and_logits_whatever_the_networks_take() -> None:
    def conv() -> nn.Module:
        class LastAxis(nn.Sequential):
            def forward(self, images: Tensor) -> tuple[Tensor, ...]:
                moved: Tensor = images.permute(0, 3, 1, 2)
                for layer in self:
                    moved = layer(moved)
                return (moved,)

        return LastAxis(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(5, 4, 1), nn.Softmax(1))

    spec = ImageSpec(
        height=6,
        width=7,
        layout=Layout.NHWC,
        channel_order=ChannelOrder.BGR,
        value_range=(0.0, 255.0),
        mean=(100.0, 110.0, 120.0),
        std=(50.0, 60.0, 70.0),
    )
    images = probe_images(spec, 6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wanted = [TorchClassifier(conv(), spec) for _ in range(2)]
    networks = Networks.of(["a", "b"], wanted)
    for number, each in enumerate(wanted):
        with torch.no_grad():
            found = networks.program.logits(torch.from_numpy(images), networks.states[number]).numpy()
        np.testing.assert_allclose(found, each.logits(images), atol=1e-4)
    assert networks.classifier(networks.states[1], name="made").spec == spec


def test_labels_stay() -> None:
    labels = tuple("abcdefghij")
    named = [TorchClassifier(mlp(12, 9), replace(SPEC), labels=labels) for _ in range(2)]
    networks = Networks.of(["a", "b"], named)
    assert networks.classifier(networks.states[0], name="made").labels == labels
