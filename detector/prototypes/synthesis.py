"""Synthesis: inputs a classifier assigns to a class with near-zero loss, made from nothing.

Feature visualisation by optimisation (Vrabel et al., arXiv 2409.05800, Sec. 4): start from faint noise (or a class
mean), minimise the cross-entropy of the class with Adam, and keep the best iterate. Unlike the paper's code, pixels are
kept in the valid box [0, 1] unless told otherwise, because a service only ever sees valid images. All classes are
optimised in one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from detector.descent import mean_variation
from detector.errors import CalibrationError
from detector.prototypes.options import PrototypeStart, SynthesisOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.classifiers.torch import TorchClassifier

_NOISE = 0.01  # standard deviation of the start's noise; the paper's value
_MID_GREY = 0.5


@dataclass(frozen=True, eq=False)
class PrototypeBatch:
    """Prototypes that are optimised together, with all they start from: their result depends on nothing else.

    Args:
        classes: int64 (n,), whose prototypes they are.
        start: float32 (n, channels, height, width), canonical.
        randomness: uint8, the state of the generator that draws the jitter.
    """

    classes: NDArray[np.int64]
    start: Float32Array
    randomness: NDArray[np.uint8]


class PrototypeBatches:
    """The batches of all classes, made one at a time: what all of them start from may not fit in memory.

    Args:
        spec: Of the classifier's images.
        classes: How many there are.
        options: How prototypes are made.
        class_means: float32 (classes, channels, height, width), for `PrototypeStart.CLASS_MEAN`.

    Raises:
        CalibrationError: Class means are wanted and missing.
    """

    def __init__(
        self, spec: ImageSpec, classes: int, options: SynthesisOptions, class_means: Float32Array | None = None
    ) -> None:
        if options.start is PrototypeStart.CLASS_MEAN and class_means is None:
            raise CalibrationError("prototypes: start 'class-mean' needs labelled images")
        self._spec, self._options, self._means = spec, options, class_means
        self._classes = np.repeat(np.arange(classes), options.per_class)
        self._generator = torch.Generator().manual_seed(options.seed)
        self._drawn = 0

    def __len__(self) -> int:
        """How many batches."""
        return math.ceil(len(self._classes) / self._options.batch)

    def batch(self, number: int) -> PrototypeBatch:
        """One of them, from 0. The starts of all are drawn in order from one generator, so ask in rising order."""
        assert number >= self._drawn, "starts are drawn in rising order"
        while True:
            classes = self._classes[self._drawn * self._options.batch :][: self._options.batch]
            noise = _NOISE * torch.randn((len(classes), *self._spec.shape), generator=self._generator)
            self._drawn += 1
            if self._drawn > number:
                break
        start = self._grey_or_mean(classes) + noise
        if self._options.within_box:
            start = start.clamp(0, 1)
        return PrototypeBatch(classes, start.numpy(), self._generator.get_state().numpy())

    def _grey_or_mean(self, classes: NDArray[np.int64]) -> Tensor:
        if self._options.start is PrototypeStart.CLASS_MEAN and self._means is not None:
            return torch.from_numpy(self._means[classes])
        return torch.tensor(_MID_GREY)


def optimised(
    classifier: TorchClassifier,
    batch: PrototypeBatch,
    options: SynthesisOptions,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Float32Array, Float32Array]:
    """Adam on the pixels of one batch.

    Args:
        classifier: Differentiable.
        batch: What is optimised.
        options: How.
        on_progress: Told the number of steps done since it was told last; `options.steps` in all.

    Returns:
        Each prototype's best iterate, as `batch.start`, and its loss, float32 (n,).
    """
    generator = torch.Generator()
    generator.set_state(torch.tensor(batch.randomness))
    wanted = torch.tensor(batch.classes)
    pixels = torch.tensor(batch.start).requires_grad_()
    adam = torch.optim.Adam([pixels], lr=options.learning_rate)
    best, best_losses = torch.tensor(batch.start), torch.full((len(wanted),), torch.inf)
    for step in range(options.steps + 1):
        losses = cross_entropy(
            classifier.differentiable_logits(_jittered(pixels, options, generator)), wanted, reduction="none"
        )
        with torch.no_grad():
            # Under jitter the loss seen is a shifted image's: judge the image itself.
            seen = losses if not options.jitter else _losses(classifier, pixels, wanted)
            better = seen < best_losses
            best[better], best_losses[better] = pixels.detach()[better], seen[better]
        if step == options.steps or bool((best_losses < options.target_loss).all()):
            break
        objective = losses.sum() + options.smoothness * mean_variation(pixels).sum()
        adam.zero_grad()
        (pixels.grad,) = torch.autograd.grad(objective, [pixels])
        adam.step()
        if options.within_box:
            with torch.no_grad():
                pixels.clamp_(0, 1)
        if on_progress:
            on_progress(1)
    if on_progress and step < options.steps:
        on_progress(options.steps - step)
    return best.numpy(), best_losses.numpy()


def _losses(classifier: TorchClassifier, pixels: Tensor, wanted: Tensor) -> Tensor:
    return cross_entropy(classifier.differentiable_logits(pixels), wanted, reduction="none")


def _jittered(pixels: Tensor, options: SynthesisOptions, generator: torch.Generator) -> Tensor:
    if not options.jitter:
        return pixels
    shifts = torch.randint(-options.jitter, options.jitter + 1, (2,), generator=generator).tolist()
    return torch.roll(pixels, shifts=shifts, dims=(2, 3))
