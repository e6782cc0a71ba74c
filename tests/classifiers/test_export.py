"""Exported models answer as their torch modules do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, OutputKind, PixelType
from detector.classifiers.export import export_onnx, served_spec
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.options import SpecOptions
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch import TorchClassifier
from detector.classifiers.torch_sources import load_exported, load_factory
from detector.errors import ClassifierError
from tests.support.tiny import TINY_SPEC, tiny_module

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array


def _same(classifier: TorchClassifier, model: bytes, images: Float32Array) -> OnnxClassifier:
    served = OnnxClassifier(model, spec=served_spec(classifier.spec))
    np.testing.assert_allclose(served.logits(images), classifier.logits(images), rtol=1e-3, atol=1e-3)
    return served


def test_a_module_is_exported_once_for_any_batch(images: Float32Array, tmp_path: Path) -> None:
    classifier = TorchClassifier(
        tiny_module(), replace(TINY_SPEC, channel_order=ChannelOrder.BGR, mean=(0.1, 0.2, 0.3))
    )
    model = export_onnx(classifier, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").read_bytes() == model
    assert onnx.load_from_string(model).opset_import[0].version == 17
    assert _same(classifier, model, images).fixed_batch is None


def test_the_same_module_gives_the_same_bytes() -> None:
    first, second = (export_onnx(TorchClassifier(tiny_module(), TINY_SPEC)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("batch", [1, 2])
def test_a_program_of_fixed_batch_opens(batch: int, images: Float32Array, tmp_path: Path) -> None:
    program = torch.export.export(tiny_module(), (torch.rand(batch, *TINY_SPEC.shape),))
    torch.export.save(program, tmp_path / "tiny.pt2")
    classifier = load_exported(tmp_path / "tiny.pt2").classifier(SpecOptions())
    assert _same(classifier, export_onnx(classifier), images).fixed_batch is None


def test_the_cifar_program_opens(shared_data: Path) -> None:
    classifier = load_exported(shared_data / "classifiers" / "cifar10_resnet20.pt2").classifier(SpecOptions())
    assert _same(classifier, export_onnx(classifier), probe_images(classifier.spec, 7)).fixed_batch is None


def test_torchvision_models_are_exported() -> None:
    classifier = load_factory("torchvision.models:resnet18").classifier(SpecOptions(height=48, width=40))
    _same(classifier, export_onnx(classifier), probe_images(classifier.spec, 3))


def test_a_float16_module_is_served_in_float32(images: Float32Array) -> None:
    classifier = TorchClassifier(tiny_module().half(), replace(TINY_SPEC, dtype=PixelType.FLOAT16))
    assert served_spec(classifier.spec).dtype is PixelType.FLOAT32
    _same(classifier, export_onnx(classifier), images)


def test_a_module_of_uint8_nhwc_pixels(images: Float32Array) -> None:
    class Deployed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny_module()

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net(pixels.permute(0, 3, 1, 2).float() / 255)
            return logits

    spec = ImageSpec(height=12, width=10, layout=Layout.NHWC, dtype=PixelType.UINT8, value_range=(0, 255))
    classifier = TorchClassifier(Deployed(), spec)
    _same(classifier, export_onnx(classifier), images)


def test_a_module_of_probabilities_keeps_them(images: Float32Array) -> None:
    classifier = TorchClassifier(nn.Sequential(tiny_module(), nn.Softmax(dim=1)), TINY_SPEC)
    assert _same(classifier, export_onnx(classifier), images).output_kind is OutputKind.PROBABILITIES


def test_a_program_left_in_training_mode_is_refused(tmp_path: Path) -> None:
    noisy = nn.Sequential(tiny_module(), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(noisy, (torch.rand(2, *TINY_SPEC.shape),)), tmp_path / "noisy.pt2")
    classifier = load_exported(tmp_path / "noisy.pt2").classifier(SpecOptions())
    with pytest.raises(ClassifierError, match="answers differently when asked twice; was it exported in training mode"):
        export_onnx(classifier)


def test_a_module_tracing_can_not_follow_is_refused() -> None:
    class Untraceable(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(images.mean(dim=(2, 3)).numpy().copy())

    with pytest.raises(ClassifierError, match="can't be exported to ONNX"):
        export_onnx(TorchClassifier(Untraceable(), TINY_SPEC))
