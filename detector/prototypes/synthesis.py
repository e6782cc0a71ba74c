"""Synthesis: inputs a classifier assigns to a class with near-zero loss, made from nothing.

Feature visualisation by optimisation (Vrabel et al., arXiv 2409.05800, Sec. 4): start from faint noise (or a class
mean), minimise the cross-entropy of the class with Adam, and keep the best iterate. Unlike the paper's code, pixels are
kept in the valid box [0, 1], because a service only ever sees valid images. All classes are optimised in one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from detector.errors import CalibrationError
from detector.paths import Prototypes
from detector.prototypes.options import PrototypeStart, SynthesisOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_NOISE = 0.01  # standard deviation of the start's noise; the paper's value
_MID_GREY = 0.5


def synthesise(
    classifier: TorchClassifier,
    options: SynthesisOptions,
    *,
    class_means: Float32Array | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Prototypes:
    """Make prototypes of every class.

    Args:
        classifier: Differentiable.
        options: How.
        class_means: float32 (classes, channels, height, width), for `PrototypeStart.CLASS_MEAN`.
        on_progress: Told the number of Adam steps done since it was told last, per prototype batch.

    Returns:
        The prototypes, with their losses.

    Raises:
        CalibrationError: Class means are wanted and missing.
        GradientsUnavailableError: The classifier has no gradient.
    """
    if options.start is PrototypeStart.CLASS_MEAN and class_means is None:
        raise CalibrationError("prototypes: start 'class-mean' needs labelled images")
    classes = np.repeat(np.arange(len(classifier.labels)), options.per_class)
    generator = torch.Generator().manual_seed(options.seed)
    images = np.empty((len(classes), *classifier.spec.shape), np.float32)
    losses = np.empty(len(classes), np.float32)
    for begin in range(0, len(classes), options.batch):
        rows = slice(begin, begin + options.batch)
        start = _start(classes[rows], classifier, options, class_means, generator)
        images[rows], losses[rows] = _optimise(
            classifier, classes[rows], start, options=options, generator=generator, on_progress=on_progress
        )
    shape = (len(classifier.labels), options.per_class)
    return Prototypes(images.reshape(*shape, *classifier.spec.shape), losses.reshape(shape))


def synthesis_steps(classes: int, options: SynthesisOptions) -> int:
    """The most Adam steps `synthesise` takes, counted per prototype batch."""
    return -(-classes * options.per_class // options.batch) * options.steps


def _start(
    classes: NDArray[np.int64],
    classifier: TorchClassifier,
    options: SynthesisOptions,
    class_means: Float32Array | None,
    generator: torch.Generator,
) -> Tensor:
    noise = _NOISE * torch.randn((len(classes), *classifier.spec.shape), generator=generator)
    if options.start is PrototypeStart.CLASS_MEAN and class_means is not None:
        return (torch.from_numpy(class_means[classes]) + noise).clamp(0, 1)
    return (_MID_GREY + noise).clamp(0, 1)


def _optimise(
    classifier: TorchClassifier,
    classes: NDArray[np.int64],
    start: Tensor,
    *,
    options: SynthesisOptions,
    generator: torch.Generator,
    on_progress: Callable[[int], None] | None,
) -> tuple[Float32Array, Float32Array]:
    """Adam on the pixels of one batch; returns each prototype's best iterate and its loss."""
    wanted = torch.from_numpy(classes)
    pixels = start.clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=options.learning_rate)
    best, best_losses = start.clone(), torch.full((len(classes),), torch.inf)
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
        objective = losses.sum() + options.smoothness * _roughness(pixels).sum()
        adam.zero_grad()
        (pixels.grad,) = torch.autograd.grad(objective, [pixels])
        adam.step()
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


def _roughness(pixels: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of each image: (N,), 0 for a flat image."""
    across = (pixels[..., 1:] - pixels[..., :-1]).abs().flatten(1).mean(1)
    down = (pixels[..., 1:, :] - pixels[..., :-1, :]).abs().flatten(1).mean(1)
    return (across + down) / 2


def roughness(images: Float32Array) -> Float32Array:
    """Mean absolute difference of neighbouring pixels of canonical images (..., C, H, W), in pixel units 0..1."""
    flat = torch.from_numpy(images.reshape(-1, *images.shape[-3:]))
    return _roughness(flat).numpy().reshape(images.shape[:-3])
