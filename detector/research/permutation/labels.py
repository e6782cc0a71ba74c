"""How labels of units pass through operations: a label for every element of every tensor of a network.

Operations that only move elements are carried out on the labels themselves. Where an operation is not known, the units
it reads stay in place, which is always right, and only leaves symmetries unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from detector.research.permutation.units import FIXED, NEUTRAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from detector.research.permutation.units import Units

_MOST_ELEMENTS = 2**21  # of a parameter that is used element by element


@dataclass(eq=False)
class Labelled:
    """A tensor of the network as it runs on example images, and a label for each of its elements.

    Args:
        value: The tensor.
        labels: int64, of the same shape.
        parameter: Its name, where it is a parameter or a buffer that no operation has touched.
    """

    value: Tensor
    labels: Tensor
    parameter: str | None = None


def fixed(value: Tensor, parameter: str | None = None) -> Labelled:
    """A tensor that depends on no unit."""
    return Labelled(value, torch.full(value.shape, FIXED), parameter)


def elementwise(units: Units, value: Tensor, operands: list[Labelled]) -> Labelled:
    """Operands that are combined element by element, broadcast to the shape of the result."""
    labels = torch.full(value.shape, NEUTRAL)
    for operand in operands:
        labels = _combined(units, labels, operand)
    for operand in operands[:-1]:
        _combined(units, labels, operand)
    return Labelled(value, labels)


def _combined(units: Units, labels: Tensor, operand: Labelled) -> Tensor:
    """The labels with those of one more operand."""
    other = labels_of(units, operand).broadcast_to(labels.shape)
    index = torch.arange(operand.value.numel()).reshape(operand.value.shape).broadcast_to(labels.shape)
    one, two = labels.reshape(-1).numpy(), other.reshape(-1).numpy()
    units.tie(one, two)
    stands = two == FIXED
    units.mark(one[stands], index.reshape(-1).numpy()[stands])
    return torch.where(labels >= 0, labels, torch.maximum(labels, other))


def labels_of(units: Units, operand: Labelled) -> Tensor:
    """An operand's labels. Every element of a parameter is a unit, until it is tied to what it is combined with.

    A parameter of one number is none: it does the same to all that it is combined with.
    """
    size = operand.value.numel()
    if operand.parameter is None or not 1 < size <= _MOST_ELEMENTS or not operand.value.is_floating_point():
        return operand.labels
    name, operand.parameter = operand.parameter, None
    flat = units.made(size, name)
    units.stand(name, None, flat)
    operand.labels = torch.from_numpy(flat.reshape(operand.value.shape))
    return operand.labels


def reduced(units: Units, value: Tensor, operand: Labelled, dims: list[int]) -> Labelled:
    """A mean, sum or maximum over axes, which does not depend on the order of what it reads."""
    labels = labels_of(units, operand)
    mixed = _mark_mixed(units, labels, dims)
    same = torch.where(mixed, FIXED, labels.amin(dims, keepdim=True))
    return Labelled(value, same.reshape(value.shape))


def normalised(units: Units, value: Tensor, operand: Labelled, shape: list[int], dims: list[int]) -> Labelled:
    """A tensor of which each element is divided by a sum over axes of it, seen in some shape."""
    labels = labels_of(units, operand)
    _mark_mixed(units, labels.reshape(shape), dims)
    return Labelled(value, labels)


def _mark_mixed(units: Units, labels: Tensor, dims: list[int]) -> Tensor:
    """Which sums over axes read several units; those may only change places with what enters the same sums."""
    mixed = labels.amin(dims, keepdim=True) != labels.amax(dims, keepdim=True)
    sums = torch.arange(mixed.numel()).reshape(mixed.shape).broadcast_to(labels.shape)
    here = mixed.broadcast_to(labels.shape)
    units.mark(labels[here].numpy(), sums[here].numpy())
    return mixed


def per_channel(units: Units, operand: Labelled, axis: int) -> NDArray[np.int64] | None:
    """The labels along one axis, where they are the same along all others; None, with all frozen, where they differ."""
    labels = labels_of(units, operand).movedim(axis, 0).reshape(operand.value.shape[axis], -1)
    if bool((labels == labels[:, :1]).all()):
        return labels[:, 0].numpy()
    freeze(units, operand)
    return None


def along(value: Tensor, labels: NDArray[np.int64], axis: int) -> Labelled:
    """A tensor with labels along one axis."""
    shape = [1] * value.ndim
    shape[axis] = -1
    return Labelled(value, torch.from_numpy(labels).reshape(shape).broadcast_to(value.shape).contiguous())


def freeze(units: Units, *operands: Any) -> None:
    """Units that stay where they are, because nobody knows what is done with them."""
    for operand in operands:
        if isinstance(operand, Labelled):
            units.freeze(labels_of(units, operand).reshape(-1).numpy())
