"""Gradients from an ONNX file, by turning it into a torch module with onnx2torch where that can be done."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import onnx
import torch
from torch import nn

from detector.classifiers.base import PixelType
from detector.classifiers.surgery import fold_constants, read_model
from detector.classifiers.torch import TorchSource
from detector.classifiers.torchvision_compat import mend_torchvision
from detector.errors import ClassifierError, GradientsUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

MAX_OPSET = 17
_PIXEL_TYPES = {int(onnx.TensorProto.FLOAT): PixelType.FLOAT32, int(onnx.TensorProto.FLOAT16): PixelType.FLOAT16}


def load_onnx_gradients(model: str | Path | bytes) -> TorchSource:
    """Turn an ONNX classifier into a torch module that can be differentiated.

    A graph that takes uint8 pixels and casts them to float at once is taken behind that cast.

    Args:
        model: Path of the ONNX file, or its bytes; opset 17 at most, one input and one output.

    Raises:
        GradientsUnavailableError: The graph can't be turned; says why.
        ClassifierError: The file can't be read.
    """
    name = "ONNX model" if isinstance(model, bytes) else str(model)
    given = model if isinstance(model, bytes) else read_model(model)
    proto = _loaded(given, name)
    opset = max(entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"})
    if opset > MAX_OPSET:
        raise GradientsUnavailableError(
            f"{name}: opset {opset}; onnx2torch reads at most {MAX_OPSET}: export it anew with opset {MAX_OPSET}"
        )
    _take_floats(proto.graph)
    tensor = proto.graph.input[0].type.tensor_type
    dtype = _PIXEL_TYPES.get(tensor.elem_type)
    if dtype is None:
        raise GradientsUnavailableError(f"{name}: its input has no gradient: it is neither float32 nor float16")
    shape = tuple(dim.dim_value or None for dim in tensor.shape.dim)
    return TorchSource(_as_module(proto, name), f"{name} through onnx2torch", shape, dtype)


def _as_module(proto: onnx.ModelProto, name: str) -> nn.Module:
    """Convert with constants folded, which leaves fewer operators to know, or else (half precision) as it came."""
    # ONNX Runtime and onnx2torch raise unrelated classes; the reason given is that of the model as it came.
    with contextlib.suppress(Exception):
        return _converted(onnx.load_from_string(fold_constants(proto.SerializeToString())))
    try:
        return _converted(proto)
    except Exception as error:
        raise GradientsUnavailableError(f"{name}: onnx2torch can't turn it into torch: {error}") from error


def _take_floats(graph: onnx.GraphProto) -> None:
    """Let a graph that starts by casting uint8 pixels to float32 take float32 pixels; the cast then does nothing."""
    tensor = graph.input[0].type.tensor_type
    readers = [node for node in graph.node if graph.input[0].name in node.input]
    casts = all(node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT for node in readers)
    if tensor.elem_type == onnx.TensorProto.UINT8 and casts:
        tensor.elem_type = onnx.TensorProto.FLOAT


def _loaded(model: bytes, name: str) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(model)
    # protobuf raises a class of its own on bytes that are no model.
    except Exception as error:
        raise ClassifierError(f"{name}: not an ONNX model: {error}") from error


def _converted(proto: onnx.ModelProto) -> nn.Module:
    mend_torchvision()
    import onnx2torch
    from onnx2torch.node_converters.slice import OnnxSlice

    module: nn.Module = onnx2torch.convert(proto)
    for name, child in list(module.named_modules()):
        if isinstance(child, OnnxSlice):
            module.set_submodule(name, _Slice())
    return module


class _Slice(nn.Module):
    """ONNX's Slice; onnx2torch's own indexes with a list, whose meaning torch is about to change."""

    def forward(
        self, values: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
    ) -> Tensor:
        index = [slice(None)] * values.ndim
        axes = torch.arange(len(starts)) if axes is None else axes
        steps = torch.ones_like(starts) if steps is None else steps
        rows = zip(starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True)
        for start, end, axis, step in rows:
            if step > 0:
                index[axis] = slice(start, end, step)
            else:
                values = values.flip(axis)
                index[axis] = slice(-start - 1, -end - 1, -step)
        return values[tuple(index)]
