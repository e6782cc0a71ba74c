"""How rough images are, differentiably: the penalty that keeps what is optimised smooth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mean_variation(pixels: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, over both axes.

    Args:
        pixels: float32 (N, channels, height, width).

    Returns:
        float32 (N,), in units of the pixels, 0 for a flat image. The paper's penalty on high frequencies is the sum
        instead: some twice the number of pixels times as much.
    """
    across = (pixels[..., 1:] - pixels[..., :-1]).abs().flatten(1).mean(1)
    down = (pixels[..., 1:, :] - pixels[..., :-1, :]).abs().flatten(1).mean(1)
    return (across + down) / 2
