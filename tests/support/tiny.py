"""Small networks with random weights, for tests that need a classifier but no skill."""

from __future__ import annotations

import torch
from torch import nn

from detector.classifiers.base import ImageSpec
from detector.classifiers.export import export_onnx
from detector.classifiers.torch import TorchClassifier

TINY_SPEC = ImageSpec(height=12, width=10)
TINY_CLASSES = 4


class TinyNet(nn.Module):
    """Convolutions over (N, 3, 12, 10) images in [0, 1]; normalises inside; four classes."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 8, 3, stride=2)
        self.last = nn.Linear(8 * 5 * 4, TINY_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.tanh(self.norm(self.first((images - 0.5) / 0.25)))
        features = torch.tanh(self.second(features))
        logits: torch.Tensor = 3 * self.last(features.flatten(1))
        return logits


def tiny_module(seed: int = 0) -> TinyNet:
    """A TinyNet whose weights follow from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyNet().eval()


def tiny_torch(seed: int = 0) -> TorchClassifier:
    """A TinyNet as a classifier."""
    return TorchClassifier(tiny_module(seed), TINY_SPEC, name="tiny")


def tiny_onnx(seed: int = 0) -> bytes:
    """A TinyNet as an ONNX model."""
    return export_onnx(tiny_torch(seed))
