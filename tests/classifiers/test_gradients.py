"""A gradient source of one convention stands for a classifier of another."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch

from detector.classifiers.base import ChannelOrder, Layout, PixelType
from detector.classifiers.gradients import AGREEMENT, disagreement, load_torch_source, match_gradients
from detector.classifiers.loading import load_classifier
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.classifiers.torch import TorchSource
from detector.errors import ClassifierError, GradientsUnavailableError
from tests.support import variants
from tests.support.tiny import TINY_SPEC, tiny_module, tiny_torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.classifiers.torch import TorchClassifier

BGR_SPEC = replace(TINY_SPEC, channel_order=ChannelOrder.BGR)
CONVENTIONS: dict[str, tuple[Callable[[bytes], bytes], ImageSpec | None]] = {
    "plain": (lambda model: model, None),
    "NHWC": (variants.nhwc, None),
    "BGR": (variants.bgr, BGR_SPEC),
    "uint8 NHWC BGR": (
        lambda model: variants.uint8(variants.bgr(variants.nhwc(model))),
        replace(BGR_SPEC, layout=Layout.NHWC, dtype=PixelType.UINT8, value_range=(0.0, 255.0)),
    ),
    "float16": (variants.float16, None),
    "probabilities": (variants.probabilities, None),
}


def _slopes(classifier: TorchClassifier, images: Float32Array) -> torch.Tensor:
    pixels = torch.from_numpy(images).requires_grad_()
    total = torch.log_softmax(classifier.differentiable_logits(pixels), 1)[:, 2].sum()
    return torch.autograd.grad(total, pixels)[0]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_plain_gradients_match_every_convention(name: str, tiny_model: bytes, images: Float32Array) -> None:
    variant, spec = CONVENTIONS[name]
    classifier = OnnxClassifier(variant(tiny_model), spec=spec)
    found = match_gradients(classifier, TorchSource(tiny_module(), "tiny"), images)
    assert found.spec == TINY_SPEC
    assert disagreement(classifier, found, images) < AGREEMENT


def test_the_users_normalisation_is_carried_over(images: Float32Array) -> None:
    """The classifier wants BGR with its mean per channel; the gradient source RGB with the same mean."""
    spec = replace(TINY_SPEC, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    classifier = TorchSource(tiny_module(), "tiny").classifier(spec)
    module = torch.nn.Sequential(_Reversed(), tiny_module())
    found = match_gradients(classifier, TorchSource(module, "reversed"), images)
    assert found.spec == replace(spec, channel_order=ChannelOrder.BGR, mean=(0.3, 0.2, 0.1), std=(0.6, 0.5, 0.4))


class _Reversed(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(1)


def test_another_network_is_refused(tiny_model: bytes, images: Float32Array) -> None:
    with pytest.raises(ClassifierError, match=r"answers differently from the classifier.*is it the same network"):
        match_gradients(OnnxClassifier(tiny_model), TorchSource(tiny_module(seed=1), "other"), images)


def test_a_network_of_other_classes_is_refused(tiny_model: bytes, images: Float32Array) -> None:
    module = torch.nn.Sequential(tiny_module(), torch.nn.Linear(4, 7))
    with pytest.raises(ClassifierError, match="labels: 4 given, but the classifier has 7 classes"):
        match_gradients(OnnxClassifier(tiny_model), TorchSource(module, "seven"), images)


def test_a_source_of_uint8_pixels_has_no_gradients(tiny_model: bytes, images: Float32Array) -> None:
    source = TorchSource(tiny_module(), "levels", (None, 3, 12, 10), PixelType.UINT8)
    with pytest.raises(GradientsUnavailableError, match="uint8"):
        match_gradients(OnnxClassifier(tiny_model), source, images)


def test_a_source_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"neither a \.pt2 program, nor an \.onnx file, nor a factory"):
        load_torch_source(tmp_path / "model.h5")


@pytest.mark.parametrize("address", ["grpc://localhost:8001/resnet", "grpcs://localhost:8001/resnet.onnx"])
def test_an_address_is_no_source(address: str) -> None:
    with pytest.raises(ClassifierError, match=r"resnet.*: shows neither weights nor gradients; give the file"):
        load_torch_source(address)


@pytest.mark.parametrize("variant", [lambda model: model, variants.fixed_batch, variants.uint8, variants.float16])
def test_onnx2torch_gives_torchs_gradients(
    variant: Callable[[bytes], bytes], tiny_model: bytes, images: Float32Array, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(variant(tiny_model))
    found = match_gradients(OnnxClassifier(path), path, images)
    torch.testing.assert_close(_slopes(found, images), _slopes(tiny_torch(), images), rtol=1e-3, atol=1e-4)


def test_cifar_gradients_agree_between_its_program_and_onnx2torch(shared_data: Path) -> None:
    folder = shared_data / "classifiers"
    classifier = OnnxClassifier(folder / "cifar10_resnet20.onnx")
    pixels = np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32)
    one = match_gradients(classifier, folder / "cifar10_resnet20.pt2", pixels)
    other = match_gradients(classifier, folder / "cifar10_resnet20.onnx", pixels)
    torch.testing.assert_close(_slopes(one, pixels), _slopes(other, pixels), rtol=1e-3, atol=1e-4)


def test_an_opset_onnx2torch_does_not_read(tiny_model: bytes) -> None:
    proto = onnx.load_from_string(tiny_model)
    proto.opset_import[0].version = 20
    with pytest.raises(GradientsUnavailableError, match="opset 20; onnx2torch reads at most 17"):
        load_onnx_gradients(proto.SerializeToString())


def test_an_operator_onnx2torch_does_not_know(tiny_model: bytes) -> None:
    proto = onnx.load_from_string(tiny_model)
    last = proto.graph.output[0].name
    proto.graph.node.append(onnx.helper.make_node("Hardmax", [last], ["hard"]))
    proto.graph.output[0].name = "hard"
    with pytest.raises(GradientsUnavailableError, match="onnx2torch can't turn it into torch"):
        load_onnx_gradients(proto.SerializeToString())


def test_a_half_precision_network_has_gradients(images: Float32Array, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter users of half precision still have
        torch.onnx.export(
            tiny_module().half(), (torch.rand(1, 3, 12, 10).half(),), path, opset_version=17, dynamo=False
        )
    loaded = load_classifier(path)
    assert loaded.classifier.spec.dtype is PixelType.FLOAT16
    assert loaded.classifier.fixed_batch is None
    assert disagreement(loaded.classifier, loaded.gradients(), images) < AGREEMENT
    torch.testing.assert_close(_slopes(loaded.gradients(), images), _slopes(tiny_torch(), images), rtol=0.1, atol=0.01)
