"""A transfer attacker's own classifier: a small CNN trained on images like those of the one under attack.

Transfer of attacks from a substitute: Papernot et al., arXiv 1602.02697.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from detector.attacks.target import Int64Array
    from detector.classifiers.base import Float32Array

_WIDTHS = (24, 48, 96, 96)
_PEAK_RATE = 5e-3
_WEIGHT_DECAY = 1e-2


@dataclass(frozen=True, kw_only=True)
class SurrogateOptions:
    """How it is trained.

    Args:
        steps: AdamW steps.
        batch: Images in each.
        flips: Whether half of the images are mirrored, which photographs bear and writing does not.
        seed: Of the weights, the batches and the flips.
    """

    steps: int = 400
    batch: int = 128
    flips: bool = True
    seed: int = 0


def train_surrogate(
    images: Float32Array,
    labels: Int64Array,
    classes: int,
    options: SurrogateOptions | None = None,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> TorchClassifier:
    """Train a CNN of four convolutions; about a minute on two cores for 32 x 32 pixels.

    Args:
        images: float32 (N, channels, height, width), canonical; any N.
        labels: int64 (N,), in 0..classes - 1.
        classes: How many there are.
        options: How.
        on_progress: Told the number of steps done since it was told last; `options.steps` in all.

    Returns:
        The surrogate. The same seed gives the same one on the same machine.

    Raises:
        InvalidInputError: There are no images, or not one label for each, or a label is out of range.
    """
    if not len(images) or labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= classes:
        raise InvalidInputError(f"one of 0..{classes - 1} expected for each of {len(images)} images", field="labels")
    options = options or SurrogateOptions()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = _network(images.shape[1], classes)
        _train(module, torch.from_numpy(images), torch.from_numpy(labels), options, on_progress)
    order = ChannelOrder.GRAY if images.shape[1] == 1 else ChannelOrder.RGB
    spec = ImageSpec(height=images.shape[2], width=images.shape[3], channel_order=order)
    return TorchClassifier(module, spec, name="surrogate CNN")


def _network(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for i, width in enumerate(_WIDTHS):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        if i < len(_WIDTHS) - 1:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))  # an odd or single row stays
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _train(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    options: SurrogateOptions,
    on_progress: Callable[[int], None] | None,
) -> None:
    adam = torch.optim.AdamW(module.parameters(), weight_decay=_WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, _PEAK_RATE, total_steps=options.steps)
    for _ in range(options.steps):
        rows = torch.randint(len(images), (options.batch,))
        batch = images[rows]
        if options.flips:
            batch = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, batch.flip(3), batch)  # noqa: PLR2004 - half
        adam.zero_grad()
        torch.autograd.backward(functional.cross_entropy(module(batch), labels[rows]))
        adam.step()
        rate.step()
        if on_progress:
            on_progress(1)
