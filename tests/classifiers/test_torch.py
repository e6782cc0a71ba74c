"""Torch classifiers: the same answers as the plain module, and gradients that are gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, Classifier, ImageSpec, Layout, OutputKind, PixelType
from detector.classifiers.torch import TorchClassifier, encode_tensor
from detector.errors import ClassifierError, GradientsUnavailableError
from tests.support.factories import Wrapped
from tests.support.tiny import TINY_SPEC, tiny_module

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

SPECS = [
    TINY_SPEC,
    replace(TINY_SPEC, layout=Layout.NHWC),
    replace(TINY_SPEC, channel_order=ChannelOrder.BGR, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
    replace(TINY_SPEC, layout=Layout.NHWC, value_range=(-1, 1)),
    replace(TINY_SPEC, channel_order=ChannelOrder.BGR, value_range=(0, 255), mean=(104, 117, 123)),
]


class _Adapter(nn.Module):
    """A TinyNet that takes NHWC images."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_module()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(images.permute(0, 3, 1, 2))
        return logits


def _classifier(spec: ImageSpec) -> TorchClassifier:
    return TorchClassifier(tiny_module() if spec.layout is Layout.NCHW else _Adapter(), spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_encoding_in_torch_is_encoding_in_numpy(spec: ImageSpec, images: Float32Array) -> None:
    np.testing.assert_allclose(
        encode_tensor(spec, torch.from_numpy(images)).numpy(), spec.encode(images), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_differentiable_logits_are_the_logits(spec: ImageSpec, images: Float32Array) -> None:
    classifier = _classifier(spec)
    found = classifier.differentiable_logits(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, classifier.logits(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS[:4], ids=str)
def test_gradients_agree_with_finite_differences(spec: ImageSpec) -> None:
    classifier = _classifier(spec)
    classifier.module.double()
    pixels = torch.rand(2, *spec.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pixels.requires_grad_()

    def loss(images: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = torch.logsumexp(classifier.module(encode_tensor(spec, images)), 1).sum()
        return total

    (gradient,) = torch.autograd.grad(loss(pixels), pixels)
    direction = torch.randn(pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    step = 1e-6
    with torch.no_grad():
        slope = (loss(pixels + step * direction) - loss(pixels - step * direction)) / (2 * step)
    assert abs(float(slope)) > 1e-2
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_float16_is_computed_in_float32(images: Float32Array) -> None:
    half = TorchClassifier(tiny_module().half(), replace(TINY_SPEC, dtype=PixelType.FLOAT16))
    pixels = torch.from_numpy(images).requires_grad_()
    (gradient,) = torch.autograd.grad(half.differentiable_logits(pixels).sum(), pixels)
    assert float(gradient.abs().max()) > 0
    np.testing.assert_allclose(half.logits(images), _classifier(TINY_SPEC).logits(images), atol=3e-2)


def test_uint8_classifies_but_has_no_gradient(images: Float32Array) -> None:
    spec = ImageSpec(height=12, width=10, dtype=PixelType.UINT8, value_range=(0, 255))
    net = tiny_module()

    class Cast(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = net(pixels.float() / 255)
            return logits

    classifier = TorchClassifier(Cast(), spec)
    np.testing.assert_allclose(classifier.logits(images), _classifier(TINY_SPEC).logits(images), atol=1e-5)
    with pytest.raises(GradientsUnavailableError, match="uint8"):
        classifier.differentiable_logits(torch.from_numpy(images))


def test_probabilities_become_logarithms(images: Float32Array) -> None:
    classifier = TorchClassifier(nn.Sequential(tiny_module(), nn.Softmax(dim=1)), TINY_SPEC)
    assert classifier.output_kind is OutputKind.PROBABILITIES
    np.testing.assert_allclose(np.exp(classifier.logits(images)).sum(axis=1), 1, atol=1e-5)
    pixels = torch.from_numpy(images).requires_grad_()
    answers = classifier.differentiable_logits(pixels)
    np.testing.assert_allclose(answers.detach().numpy(), classifier.logits(images), atol=1e-5)


def test_a_fixed_batch_is_filled_up(images: Float32Array) -> None:
    net = tiny_module()

    class OnlyThree(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = net(pixels.reshape(3, 3, 12, 10))
            return logits

    classifier = TorchClassifier(OnlyThree(), TINY_SPEC, fixed_batch=3)
    wanted = _classifier(TINY_SPEC).logits(images)
    np.testing.assert_allclose(classifier.logits(images), wanted, atol=1e-5)
    found = classifier.differentiable_logits(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_stays_in_evaluation_mode_with_frozen_parameters() -> None:
    module = tiny_module().train()
    classifier = TorchClassifier(module, TINY_SPEC)
    assert isinstance(classifier, Classifier)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("kind", ["mapping", "tuple"])
def test_logits_are_found_where_libraries_put_them(kind: str, images: Float32Array) -> None:
    module = Wrapped(kind)
    wanted = TorchClassifier(module.net, TINY_SPEC).logits(images)
    np.testing.assert_array_equal(TorchClassifier(module, TINY_SPEC).logits(images), wanted)


def test_an_output_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(ClassifierError, match="put out NoneType"):
        TorchClassifier(Wrapped("none"), TINY_SPEC)


def test_a_module_for_another_size_is_refused() -> None:
    with pytest.raises(ClassifierError, match=r"fails on a torch\.float32 batch of shape \(4, 3, 20, 10\)"):
        TorchClassifier(tiny_module(), replace(TINY_SPEC, height=20))
