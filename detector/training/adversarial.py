"""Adversarial training: a network learns from images that its own gradients have just moved.

Madry et al., *Towards Deep Learning Models Resistant to Adversarial Attacks* (arXiv 1706.06083), section 2.1, and with
a single step from a random start Wong, Rice, Kolter, *Fast is better than free* (arXiv 2001.03994), section 4.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch

from detector.classifiers.torch import set_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Generator, Tensor, nn

_LEVELS: Final = 255
_ONE_STEP, _ALL_STEPS = 1.25, 2.5  # of the budget: the length of a single step; of all steps of several together


def attacked(
    module: nn.Module,
    images: Tensor,
    loss_of: Callable[[Tensor], Tensor],
    *,
    level: float,
    steps: int,
    generator: Generator,
) -> Tensor:
    """Images, moved within the budget to where the loss of a network is higher.

    The network is in evaluation mode meanwhile, where it has one, so that no statistics of batches take up attacked
    images half-way; its parameters' gradients are left alone.

    Args:
        module: The network.
        images: (N, ...), float32 in [0, 1].
        loss_of: The mean loss of such images; differentiable.
        level: Most by which a pixel is changed, in 255ths.
        steps: Gradient steps.
        generator: Of the random start, on the CPU.

    Returns:
        float32, of the same shape, in [0, 1], no value further than the budget from where it was.
    """
    budget = level / _LEVELS
    step = budget * (_ONE_STEP if steps == 1 else _ALL_STEPS / steps)
    low, high = (images - budget).clamp(min=0), (images + budget).clamp(max=1)
    start = budget * (2 * torch.rand(images.shape, generator=generator) - 1)
    moved = (images + start.to(images.device)).clamp(0, 1)
    with _settled(module):
        for _ in range(steps):
            moved.requires_grad_()
            (gradient,) = torch.autograd.grad(loss_of(moved), moved)
            moved = torch.clamp(moved.detach() + step * gradient.sign(), low, high)
    return moved


@contextmanager
def _settled(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, and then as it was."""
    was = module.training
    set_mode(module, training=False)
    try:
        yield
    finally:
        set_mode(module, training=was)
