"""A transfer attacker's own classifier: a small CNN trained on images like those of the one under attack.

Transfer of attacks from a substitute: Papernot et al., arXiv 1602.02697.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import InvalidInputError
from detector.training.architectures import build_network
from detector.training.kinds import OptimiserKind, Sampling, ScheduleKind
from detector.training.plan import Augmentation, Optimiser, Schedule, TrainingPlan
from detector.training.trainer import Training, drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.attacks.target import Int64Array
    from detector.classifiers.base import Float32Array

_NETWORK = "cnn-24-48-96-96-batchnorm"
_PLAN = TrainingPlan(
    optimiser=Optimiser(kind=OptimiserKind.ADAMW, learning_rate=5e-3, weight_decay=1e-2),
    schedule=Schedule(kind=ScheduleKind.ONE_CYCLE),
    sampling=Sampling.REPLACEMENT,
)


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
    module, generator = drawn(options.seed, lambda: build_network(_NETWORK, images.shape[1:], classes))
    plan = replace(_PLAN, steps=options.steps, batch=options.batch, augmentation=Augmentation(flips=options.flips))
    training = Training(module, torch.from_numpy(images), torch.from_numpy(labels), plan, generator)
    training.run(advance=on_progress)
    order = ChannelOrder.GRAY if images.shape[1] == 1 else ChannelOrder.RGB
    spec = ImageSpec(height=images.shape[2], width=images.shape[3], channel_order=order)
    return TorchClassifier(module, spec, name="surrogate CNN")
