"""Networks whose symmetries are found: one for each way in which units are joined, told apart or held in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from detector.training.layers import Standardised

if TYPE_CHECKING:
    from torch import Tensor


class Attention(nn.Module):
    """A small vision transformer with one block, whose projections are packed."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 4, 4)
        self.positions = nn.Parameter(torch.randn(1, 4, 16))
        self.before, self.between = nn.LayerNorm(16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        normed = self.before(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head((tokens + self.mlp(self.between(tokens))).mean(1))


class Heads(nn.Module):
    """Attention over four heads written out, with projections of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(1, 16, 4, 4), nn.LayerNorm(16)
        self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        query, key, value = (
            layer(self.norm(tokens)).unflatten(2, (4, 4)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(-1, -2) / 2).softmax(-1)
        return self.head((tokens + self.out((weights @ value).transpose(1, 2).flatten(2))).mean(1))


class Joined(nn.Module):
    """Concatenation, a depthwise convolution, and positions flattened into features."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)
        self.mixed, self.depthwise = nn.Conv2d(14, 10, 1), nn.Conv2d(10, 10, 3, groups=10)
        self.head = nn.Linear(10 * 36, 5)

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images).relu()
        both = torch.cat([first, self.second(first).relu()], 1)
        return self.head(self.depthwise(self.mixed(both).relu()).relu().flatten(1))


class Gated(nn.Module):
    """Squeeze-and-excitation, a mean over channels taken off, grouped convolution and normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.squeeze, self.excite = nn.Linear(8, 4), nn.Linear(4, 8)
        self.grouped, self.norm = nn.Conv2d(8, 8, 3, groups=2), nn.GroupNorm(4, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images).relu()
        gates = self.excite(self.squeeze(features.mean((2, 3))).relu()).sigmoid()
        features = self.norm(self.grouped(features * gates[:, :, None, None]))
        return self.head((features - features.mean(1, keepdim=True)).amax((2, 3)))


class Residual(nn.Module):
    """Two blocks whose sums share units; the second is wider, its shortcut padded with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.inner, self.outer = nn.Conv2d(6, 7, 3, padding=1), nn.Conv2d(7, 6, 3, padding=1)
        self.wider = nn.Conv2d(6, 10, 3, padding=1)
        self.head = nn.Linear(10, 5)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.norm(self.stem(images)).relu()
        narrow = (stem + self.outer(self.inner(stem).relu())).relu()
        padded = nn.functional.pad(narrow, (0, 0, 0, 0, 2, 2))
        return self.head((self.wider(narrow) + padded).relu().mean((2, 3)))


class Strange(nn.Module):
    """Units that meet an operation nobody has a rule for, between layers that are ordinary."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 8), nn.Linear(8, 9), nn.Linear(9, 5)

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.cumsum(self.first(images.flatten(1)).relu(), dim=1)
        return self.head(self.second(hidden).relu())


class Scaled(nn.Module):
    """Pixels less their mean over their deviation, and hidden units times one number that is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = Standardised(1, (0.4,), (0.3,))
        self.first, self.head = nn.Linear(64, 8), nn.Linear(8, 5)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.gain * self.first(self.pixels(images).flatten(1))).relu())


def mlp(*widths: int) -> nn.Sequential:
    """Images of 8 x 8 through hidden layers of some widths to 10 classes."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width, following in zip((64, *widths), (*widths, 10), strict=True):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def shared() -> nn.Sequential:
    """One layer that is passed twice."""
    layer = nn.Linear(12, 12)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), layer, nn.ReLU(), layer, nn.Linear(12, 10))


def tied() -> nn.Sequential:
    """Two layers with biases of their own and one weight, which is so on both sides of the units between them."""
    one, other = nn.Linear(12, 12), nn.Linear(12, 12)
    other.weight = one.weight
    layers = (nn.Linear(64, 12), nn.ReLU(), one, nn.ReLU(), other, nn.ReLU(), nn.Linear(12, 10))
    return nn.Sequential(nn.Flatten(), *layers)


def grouped() -> nn.Sequential:
    """Grouped convolution and normalisation, pooled and flattened."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4)),
        *(nn.GroupNorm(2, 8), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)),
    )
