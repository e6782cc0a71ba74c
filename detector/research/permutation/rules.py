"""What each operation of a network, as `torch.export` writes it (ATen), does to the labels of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.utils import _pytree as pytree

from detector.research.permutation.labels import (
    Labelled,
    along,
    elementwise,
    fixed,
    freeze,
    labels_of,
    normalised,
    per_channel,
    reduced,
)
from detector.research.permutation.units import FIXED, NEUTRAL, Units

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_MOVES: Final = frozenset(
    {
        *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "squeeze", "unsqueeze", "movedim"),
        *("select", "slice", "narrow", "index_select", "split", "split_with_sizes", "chunk", "unbind", "cat", "stack"),
        *("expand", "contiguous", "clone", "alias", "flip", "roll", "repeat"),
    }
)
"""Operations that only move elements."""
_ELEMENTWISE: Final = (
    *("relu", "gelu", "silu", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "celu", "softplus", "mish", "relu6"),
    *("hardswish", "hardsigmoid", "hardtanh", "dropout", "feature_dropout", "clamp", "clamp_min", "clamp_max"),
    *("abs", "exp", "log", "neg", "erf", "sqrt", "rsqrt", "square", "pow", "maximum", "minimum", "where"),
    *("add", "sub", "mul", "div", "detach", "to", "_to_copy", "type_as", "lift_fresh", "lift_fresh_copy"),
)
_REDUCTIONS: Final = ("mean", "sum", "amax", "amin")
_POOLS: Final = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d")


def apply_rule(units: Units, name: str, function: Callable[..., Any], args: tuple[Any, ...], values: Any) -> Any:
    """The labels of what an operation gives.

    Args:
        units: What is known of units; learns more.
        name: The operation's, without overload, such as ``conv2d``.
        function: The operation.
        args: Its arguments in the order of its schema, tensors as `Labelled`, those left out with their defaults.
        values: What it gives: tensors, alone or in a list or a tuple, or anything else.

    Returns:
        As `values`, tensors as `Labelled`.
    """
    if not any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(values)):
        return values
    if name in _MOVES:
        return _moved(units, function, args, values)
    # An operation that works in place differs by nothing else.
    return _RULES.get(name.removesuffix("_"), _unknown)(units, values, args)


def _unknown(units: Units, values: Any, args: tuple[Any, ...]) -> Any:
    """Whatever it does, it does the same to units that stay where they are."""
    freeze(units, *pytree.tree_leaves(args, is_leaf=lambda leaf: isinstance(leaf, Labelled)))
    return pytree.tree_map(lambda leaf: fixed(leaf) if isinstance(leaf, torch.Tensor) else leaf, values)


def _combined(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    return elementwise(units, value, [arg for arg in args if isinstance(arg, Labelled)])


def _reduced(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    return reduced(units, value, args[0], _dims(args))


def _moved(units: Units, function: Callable[..., Any], args: tuple[Any, ...], values: Any) -> Any:
    """The operation itself, done to the labels."""

    def labels(leaf: Any) -> Any:
        return labels_of(units, leaf) if isinstance(leaf, Labelled) else leaf

    moved = function(*pytree.tree_map(labels, args, is_leaf=lambda leaf: isinstance(leaf, Labelled)))
    return pytree.tree_map(Labelled, values, moved)


def _dims(args: tuple[Any, ...]) -> list[int]:
    dims = args[1] if len(args) > 1 and args[1] is not None and not isinstance(args[1], torch.dtype) else None
    if isinstance(dims, int):
        return [dims]
    return list(dims) if dims else list(range(args[0].value.ndim))


def _padded(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    operand, pads, mode = args[0], args[1], args[2] if len(args) > 2 else "constant"  # noqa: PLR2004 - its third
    if mode == "constant":
        return Labelled(value, torch.nn.functional.pad(labels_of(units, operand), pads, value=NEUTRAL))
    labels = torch.nn.functional.pad(labels_of(units, operand).double(), pads, mode=mode)
    return Labelled(value, labels.long())


def _channelwise(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    """What leaves channels alone and mixes what is within them."""
    channels = per_channel(units, args[0], 1)
    return fixed(value) if channels is None else along(value, channels, 1)


def _linear(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    operand, weight, bias = args[0], args[1], args[2] if len(args) > 2 else None  # noqa: PLR2004 - its third
    if weight.parameter is None:
        freeze(units, *args)
        return fixed(value)
    labels = labels_of(units, operand)
    if bool((labels == labels[..., :1]).all()) and bool((labels >= 0).any()):
        # The layer mixes positions and leaves channels alone: tokens of a mixer.
        return Labelled(value, labels[..., :1].broadcast_to(value.shape).contiguous())
    read = per_channel(units, operand, operand.value.ndim - 1)
    if read is not None:
        units.stand(weight.parameter, 1, read)
    return along(value, _outputs(units, weight.parameter, len(weight.value), bias), value.ndim - 1)


def _conv(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    operand, weight, bias, groups = args[0], args[1], args[2], args[6]
    if weight.parameter is None:
        freeze(units, *args)
        return fixed(value)
    read = per_channel(units, operand, 1)
    made = _outputs(units, weight.parameter, len(weight.value), bias)
    if groups == 1:
        if read is not None:
            units.stand(weight.parameter, 1, read)
        return along(value, made, 1)
    if weight.value.shape[1] == 1:  # depthwise: what is made of a channel moves with it
        tied = np.full(len(made), FIXED) if read is None else read.repeat(len(made) // groups)
        units.tie(made, tied)
        units.mark(made[tied < 0], made[tied < 0])
        return along(value, made, 1)
    units.mark(made, np.arange(groups).repeat(len(made) // groups))
    if read is not None:
        units.mark(read, np.arange(groups).repeat(len(read) // groups))
        by_row = read.reshape(groups, 1, -1).repeat(len(made) // groups, 1).reshape(len(made), -1)
        kernel = int(np.prod(weight.value.shape[2:]))
        units.stand(weight.parameter, None, by_row.repeat(kernel))
    return along(value, made, 1)


def _outputs(units: Units, weight: str, count: int, bias: Labelled | None) -> NDArray[np.int64]:
    """The units a layer makes."""
    made = units.made(count, weight)
    units.stand(weight, 0, made)
    _stand_all(units, made, bias)
    return made


def _stand_all(units: Units, labels: NDArray[np.int64], *parameters: Any) -> None:
    """Where units stand in parameters with one number for each; one that is computed holds them in place."""
    for parameter in parameters:
        if not isinstance(parameter, Labelled):
            continue
        if parameter.parameter is None:
            units.freeze(labels)
        else:
            units.stand(parameter.parameter, 0, labels)


def _batch_norm(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    channels = per_channel(units, args[0], 1)
    if channels is None:
        return fixed(value)
    _stand_all(units, channels, *args[1:5])
    return along(value, channels, 1)


def _layer_norm(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    operand, shape = args[0], list(args[1])
    dims = list(range(operand.value.ndim - len(shape), operand.value.ndim))
    result = normalised(units, value, operand, list(operand.value.shape), dims)
    affine = [each for each in args[2:4] if isinstance(each, Labelled)]
    return elementwise(units, value, [result, *affine])


def _group_norm(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    operand, groups = args[0], args[1]
    result = normalised(units, value, operand, [len(operand.value), groups, -1], [2])
    channels = per_channel(units, result, 1)
    if channels is not None:
        _stand_all(units, channels, *args[2:4])
    return result


def _softmax(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    return normalised(units, value, args[0], list(value.shape), [args[1] % value.ndim])


def _matmul(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    left, right = args[0], args[1]
    if min(left.value.ndim, right.value.ndim) < 2:  # noqa: PLR2004 - vectors
        freeze(units, left, right)
        return fixed(value)
    one, other = labels_of(units, left), labels_of(units, right)
    if bool((one == one[..., :1, :]).all()) and bool((other == other[..., :1]).all()):
        return _contracted(units, value, one[..., 0, :], other[..., 0])
    if bool((one == FIXED).all()) and bool((other == other[..., :1, :]).all()):
        labels = other[..., :1, :].broadcast_to(value.shape).contiguous()
        _mark_rest(units, labels)
        return Labelled(value, labels)
    freeze(units, left, right)
    return fixed(value)


def _attention(units: Units, value: Any, args: tuple[Any, ...]) -> Labelled:
    query, key, carried = args[0], args[1], args[2]
    if len(args) > 3 and isinstance(args[3], Labelled):  # noqa: PLR2004 - a mask
        freeze(units, args[3])
    weights = torch.empty(*query.value.shape[:-1], key.value.shape[-2])
    transposed = Labelled(key.value.transpose(-1, -2), labels_of(units, key).transpose(-1, -2))
    scores = _matmul(units, weights, (query, transposed))
    return _matmul(units, value, (scores, carried))


def _contracted(units: Units, value: Any, one: torch.Tensor, other: torch.Tensor) -> Labelled:
    """A sum of products along the last axis, over which only the two together may be permuted."""
    shape = np.broadcast_shapes(one.shape, other.shape)
    pair = [Labelled(torch.empty(each.shape), each) for each in (one, other)]
    together = elementwise(units, torch.empty(shape), pair)
    _mark_rest(units, together.labels)
    return fixed(value)


def _mark_rest(units: Units, labels: torch.Tensor) -> None:
    """Units that differ in where they stand along other axes than the last two, such as heads, stay apart."""
    heads = labels[..., 0:1] if labels.ndim > 1 else labels[:0]
    where = torch.arange(heads.numel()).reshape(heads.shape).broadcast_to(labels.shape)
    units.mark(labels.reshape(-1).numpy(), where.reshape(-1).numpy())


_RULES: Final[dict[str, Callable[[Units, Any, tuple[Any, ...]], Any]]] = {
    **dict.fromkeys(_ELEMENTWISE, _combined),
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(_POOLS, _channelwise),
    **dict.fromkeys(("pad", "constant_pad_nd"), _padded),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _conv),
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
    **dict.fromkeys(("matmul", "bmm"), _matmul),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "scaled_dot_product_attention": _attention,
}
