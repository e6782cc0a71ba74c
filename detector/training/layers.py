"""What networks are made of, beyond what PyTorch has."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_GROUPS: Final = 8


class Norm(StrEnum):
    """What normalises hidden units; always with a learnt scale and shift.

    BATCH: over the batch, by running statistics in evaluation mode. LAYER: over an image's units, of a map over its
    channels at each position. GROUP: over an eighth of the channels (or as near to that as divides them), all
    positions together.
    """

    NONE = "plain"
    BATCH = "batchnorm"
    LAYER = "layernorm"
    GROUP = "groupnorm"

    def of_units(self, width: int) -> list[nn.Module]:
        """For units (N, width)."""
        match self:
            case Norm.BATCH:
                return [nn.BatchNorm1d(width)]
            case Norm.LAYER:
                return [nn.LayerNorm(width)]
            case _:
                return self._grouped(width)

    def of_maps(self, width: int) -> list[nn.Module]:
        """For maps (N, width, height, width)."""
        match self:
            case Norm.BATCH:
                return [nn.BatchNorm2d(width)]
            case Norm.LAYER:
                return [ChannelNorm(width)]
            case _:
                return self._grouped(width)

    def _grouped(self, width: int) -> list[nn.Module]:
        if self is Norm.NONE:
            return []
        return [nn.GroupNorm(next(groups for groups in range(_GROUPS, 0, -1) if width % groups == 0), width)]


class Standardised(nn.Module):
    """Pixels less a mean, over a deviation, of each channel.

    Raises:
        AnalysisError: Not one number for each channel, or a deviation is not positive.
    """

    def __init__(self, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != channels or len(std) != channels or min(std) <= 0:
            raise AnalysisError(f"{channels} means and positive deviations are expected, not {mean} and {std}")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, height, width), standardised."""
        return (images - self.mean) / self.std


class ChannelNorm(nn.LayerNorm):
    """`LayerNorm` over the channels of maps (N, channels, height, width), at each position."""

    def forward(self, maps: Tensor) -> Tensor:
        """The maps, normalised."""
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


def convolution(inputs: int, width: int, norm: Norm, stride: int = 1) -> list[nn.Module]:
    """3 x 3, and its normalisation, which makes a bias of its own needless."""
    return [nn.Conv2d(inputs, width, 3, stride, padding=1, bias=norm is Norm.NONE), *norm.of_maps(width)]


def halving() -> nn.Module:
    """Maps of half the size; an odd or single row stays."""
    return nn.MaxPool2d(2, ceil_mode=True)


class ResidualBlock(nn.Module):
    """Two convolutions around which the maps are led: halved in size and padded with empty channels where they grow."""

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self._stride, self._missing = stride, width - inputs
        self.inner = nn.Sequential(
            *convolution(inputs, width, norm, stride), nn.ReLU(), *convolution(width, width, norm)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, width, H / stride, W / stride)."""
        led = maps[:, :, :: self._stride, :: self._stride]
        if self._missing:
            led = functional.pad(led, (0, 0, 0, 0, self._missing // 2, self._missing - self._missing // 2))
        return functional.relu(self.inner(maps) + led)


class ResidualLayer(nn.Module):
    """A normalised hidden layer whose answer is added to what it was given."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.inner = nn.Sequential(*norm.of_units(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, units: Tensor) -> Tensor:
        """Units (N, width) to the same."""
        added: Tensor = units + self.inner(units)
        return added
