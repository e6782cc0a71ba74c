"""What can't be captured: too much, too little, layers that say what is no number, networks without layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError
from detector.research.representation import capture as capture_module
from detector.research.representation.capture import capture
from detector.research.representation.kinds import Maps
from detector.research.representation.path import RepresentationPath, target_point
from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.research.representation.torch_layers import TorchLayers

if TYPE_CHECKING:
    from torch import Tensor

SPEC = ImageSpec(height=4, width=4, channel_order=ChannelOrder.GRAY)
IMAGES = np.random.default_rng(0).random((12, 1, 4, 4), np.float32)


def _network(*middle: nn.Module, first: nn.Module | None = None) -> TorchLayers:
    module = nn.Sequential(first or nn.Identity(), nn.Flatten(), nn.Linear(16, 6), *middle, nn.Linear(6, 3))
    return TorchLayers.of(TorchClassifier(module, SPEC))


def test_a_layer_too_large_is_refused_with_what_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3))
    network = TorchLayers.of(TorchClassifier(module, SPEC))
    monkeypatch.setattr(capture_module, "MAX_NUMBERS", 12 * 16)
    with pytest.raises(AnalysisError, match=r"layer layer 1: 128 units for each of 12 images are 1536 numbers.*pooled"):
        list(capture(network, IMAGES))
    assert dict(capture(network, IMAGES, maps=Maps.POOLED))["layer 1"].shape == (12, 8)


def test_images_too_few_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network()
    with pytest.raises(AnalysisError, match=r"images: 2\.\.\d+ of them are compared, not 1"):
        list(capture(network, IMAGES[:1]))
    monkeypatch.setattr(capture_module, "MOST_INPUTS", 5)
    with pytest.raises(AnalysisError, match=r"images: 2\.\.5 of them are compared, not 12"):
        list(capture(network, IMAGES))


class _Endless(nn.Module):
    """Says infinity where a unit is positive."""

    def forward(self, units: Tensor) -> Tensor:
        return torch.where(units > 0, torch.inf, units)


class _Lowest(nn.Module):
    """What each channel says at least, and never infinity."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.amin((2, 3)).clamp(-1, 1)


def test_a_layer_that_says_infinity_is_named() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), _Endless(), _Lowest(), nn.Linear(8, 3))
    network = TorchLayers.of(TorchClassifier(module, SPEC))
    with pytest.raises(AnalysisError, match="layer layer 1: it says NaN or infinity"):
        list(capture(network, IMAGES))


class _Silent(nn.Module):
    """Says the same to every image."""

    def forward(self, units: Tensor) -> Tensor:
        return units * 0


def test_a_layer_that_says_the_same_to_every_image_is_no_point_and_named() -> None:
    space = AngularCKA()
    network = _network(_Silent())
    target = target_point(np.arange(12) % 3, 3, space)
    with pytest.raises(AnalysisError, match=r"layer layer 1: .*the same for every input"):
        RepresentationPath.of(network, IMAGES, target, space)


def test_a_network_without_a_hidden_layer_is_refused() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(AnalysisError, match="no hidden layer that everything passes through"):
        TorchLayers.of(TorchClassifier(module, SPEC))


class _Wayward(nn.Module):
    """Goes another way for bright images: no graph has both."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        return self.last(rows) if float(rows.sum()) > 0 else self.last(-rows)


def test_a_module_that_cannot_be_traced_is_refused_with_the_reason() -> None:
    with pytest.raises(AnalysisError, match=r"can't be traced by torch\.export"):
        TorchLayers.of(TorchClassifier(_Wayward(), SPEC))
