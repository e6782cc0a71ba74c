"""Gradients of single examples: how far each would move the weights (GraNd), and what it says of pixels (VoG).

Networks are read in evaluation mode, where examples don't touch one another, so one backward pass through a batch
holds the gradients of all of its examples by their own pixels and units. What an example does to the weights of a
linear layer follows from what the layer reads and from the gradient by what it puts out, without the weights' own
gradient (Goodfellow, arXiv 1510.01799); of a convolution it is the sum of such products over positions. Networks with
other weights (norms) are differentiated by ``vmap(grad(...))`` instead, in chunks of bounded memory. Both are exact.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BATCH: Final = 256
_MOST_NUMBERS: Final = 2**24  # of gradients held at once


@dataclass(frozen=True, eq=False)
class ExampleGradients:
    """What single examples say of weights and pixels; losses are cross-entropies, in nats.

    Args:
        norms: float32 (N,), of the loss's gradient by all weights.
        last: float32 (N,), by the weights of the last layer alone.
        label: float32 (N, height, width), the gradient of the label's probability by pixels, mean of channels.
        predicted: Likewise of the largest probability.
        loss: Likewise of the loss.
    """

    norms: Tensor
    last: Tensor
    label: Tensor
    predicted: Tensor
    loss: Tensor


def example_gradients(module: nn.Module, images: Tensor, labels: Tensor) -> ExampleGradients:
    """Gradients of each example by itself.

    Args:
        module: In evaluation mode; its last linear layer puts out the logits.
        images: float32 (N, channels, height, width) in [0, 1].
        labels: int64 (N,).

    Raises:
        AnalysisError: The network has no linear layer.
    """
    parts = [
        _of_batch(module, images[begin : begin + BATCH], labels[begin : begin + BATCH])
        for begin in range(0, len(images), BATCH)
    ]
    return ExampleGradients(
        **{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])},
    )


def output_layer(module: nn.Module) -> nn.Linear:
    """The layer that puts out the logits.

    Raises:
        AnalysisError: There is no linear layer.
    """
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise AnalysisError("difficulty: the network has no linear layer at its end")
    return linear[-1]


def _of_batch(module: nn.Module, images: Tensor, labels: Tensor) -> ExampleGradients:
    last = output_layer(module)
    plain = _plain_layers(module)
    seen = _Pass(module, images, labels, plain or (last,))
    shares = seen.logits.softmax(1)
    predicted = shares.argmax(1)
    by_predicted = seen.pixels.clone()
    wrong = predicted != labels
    if wrong.any():
        by_predicted[wrong] = _Pass(module, images[wrong], predicted[wrong], ()).pixels

    def by_share(pixels: Tensor, classes: Tensor) -> Tensor:
        # The gradient of p is -p times that of -log p, which stays well behaved where p is next to nothing.
        return -pixels.mean(1) * shares.gather(1, classes[:, None])[:, :, None]

    return ExampleGradients(
        norms=seen.norms(plain) if plain else norms_by_vmap(module, images, labels),
        last=seen.norms((last,)),
        label=by_share(seen.pixels, labels),
        predicted=by_share(by_predicted, predicted),
        loss=seen.pixels.mean(1),
    )


class _Pass:
    """One pass there and back, and what some layers read and were told."""

    def __init__(self, module: nn.Module, images: Tensor, labels: Tensor, layers: Sequence[nn.Module]) -> None:
        calls: dict[nn.Module, tuple[Tensor, Tensor]] = {}

        def note(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            calls[layer] = (given[0], out)

        handles = [layer.register_forward_hook(note) for layer in layers]
        try:
            pixels = images.clone().requires_grad_()
            logits = module(pixels)
        finally:
            for handle in handles:
                handle.remove()
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        told = torch.autograd.grad(loss, [pixels, *(calls[layer][1] for layer in layers)])
        self.logits, self.pixels = logits.detach(), told[0]
        self._read = {layer: (calls[layer][0].detach(), by) for layer, by in zip(layers, told[1:], strict=True)}

    def norms(self, layers: Sequence[nn.Module]) -> Tensor:
        """Of each example's gradient by the weights of some layers, (N,)."""
        return torch.stack([_squares(layer, *self._read[layer]) for layer in layers]).sum(0).sqrt()


def _squares(layer: nn.Module, read: Tensor, by: Tensor) -> Tensor:
    """Squared norm of each example's gradient by a layer's weights, from what it read and what it was told."""
    if isinstance(layer, nn.Linear):
        squares = by.square().sum(1) * read.square().sum(1)
        return squares if layer.bias is None else squares + by.square().sum(1)
    assert isinstance(layer, nn.Conv2d)
    windows = functional.unfold(read, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type] # a word was ruled out
    flat = by.flatten(2)
    squares = torch.einsum("nop,nwp->now", flat, windows).square().sum((1, 2))
    return squares if layer.bias is None else squares + flat.sum(2).square().sum(1)


def _plain_layers(module: nn.Module) -> tuple[nn.Module, ...]:
    """The layers that hold all weights, where those are linear ones and plain convolutions; none where others are."""
    layers = [layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False))]
    return tuple(layers) if all(map(_is_plain, layers)) else ()


def _is_plain(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def norms_by_vmap(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Norm of each example's gradient of the loss by all weights, whatever the layers.

    Args:
        module: In evaluation mode.
        images: (N, ...), what it takes.
        labels: int64 (N,).

    Returns:
        float32 (N,).
    """
    weights = {name: value.detach() for name, value in module.named_parameters()}
    buffers = dict(module.named_buffers())

    def loss(values: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(module, (values, buffers), (image[None],))
        return functional.cross_entropy(logits, label[None])

    chunk = max(1, min(len(images), _MOST_NUMBERS // sum(value.numel() for value in weights.values())))
    found = []
    for begin in range(0, len(images), chunk):
        part = slice(begin, begin + chunk)
        with warnings.catch_warnings():
            # Where PyTorch has no rule for a batch it goes through examples one by one, which is as right.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            by = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images[part], labels[part])
        found.append(torch.stack([value.flatten(1).square().sum(1) for value in by.values()]).sum(0).sqrt())
    return torch.cat(found)
