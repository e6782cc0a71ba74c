"""Changing a batch of images at random before a network sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from detector.training.plan import Augmentation

_HALF = 0.5


def augmented(images: Tensor, how: Augmentation, generator: Generator) -> Tensor:
    """Images (N, channels, height, width), moved and mirrored as a generator on the CPU draws it."""
    if how.shift and how.together:
        images = _moved_together(images, how.shift, generator)
    elif how.shift:
        images = _moved(images, how.shift, generator)
    if how.flips:
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < _HALF
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
    return images


def _moved_together(images: Tensor, shift: int, generator: Generator) -> Tensor:
    height, width = images.shape[2:]
    row, column = torch.randint(0, 2 * shift + 1, (2,), generator=generator).tolist()
    return functional.pad(images, (shift,) * 4)[:, :, row : row + height, column : column + width]


def _moved(images: Tensor, shift: int, generator: Generator) -> Tensor:
    count, _, height, width = images.shape
    rows, columns = torch.randint(0, 2 * shift + 1, (2, count, 1), generator=generator).to(images.device)
    padded = functional.pad(images, (shift,) * 4)
    rows, columns = rows + torch.arange(height, device=rows.device), columns + torch.arange(width, device=rows.device)
    each = torch.arange(count, device=rows.device)[:, None, None]
    # Indices on both sides of the channels bring the channels last.
    return padded[each, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
