"""Gradients from an ONNX file, by turning it into a torch module with onnx2torch where that can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import torch
from torch import nn

from detector.classifiers.base import OutputKind, PixelType
from detector.classifiers.surgery import fold_constants, read_model
from detector.classifiers.torch import TorchClassifier
from detector.classifiers.torchvision_compat import mend_torchvision
from detector.errors import ClassifierError, GradientsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from detector.classifiers.base import ImageSpec

MAX_OPSET = 17


def load_onnx_gradients(
    model: str | Path | bytes,
    spec: ImageSpec,
    *,
    labels: Sequence[str] | None = None,
    output_kind: OutputKind | None = None,
) -> TorchClassifier:
    """Turn an ONNX classifier into a torch module that can be differentiated.

    Args:
        model: Path of the ONNX file, or its bytes; opset 17 at most, one output.
        spec: How the graph wants its images.
        labels: One name per class.
        output_kind: What the graph puts out; None detects it.

    Raises:
        GradientsUnavailableError: The graph can't be turned; says why.
        ClassifierError: The file can't be read.
    """
    if spec.dtype is PixelType.UINT8:
        raise GradientsUnavailableError("the ONNX model takes uint8 pixels, which have no gradient")
    name = "ONNX model" if isinstance(model, bytes) else str(model)
    proto = _foldable(model if isinstance(model, bytes) else read_model(model), name)
    opset = max(entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"})
    if opset > MAX_OPSET:
        raise GradientsUnavailableError(
            f"{name}: opset {opset}; onnx2torch reads at most {MAX_OPSET}: export it anew with opset {MAX_OPSET}"
        )
    dim = proto.graph.input[0].type.tensor_type.shape.dim[0]
    try:
        return TorchClassifier(
            _converted(proto),
            spec,
            labels=labels,
            output_kind=output_kind,
            fixed_batch=dim.dim_value or None,
            name=f"{name} through onnx2torch",
        )
    # onnx2torch raises unrelated classes, some only once the module runs.
    except Exception as error:
        raise GradientsUnavailableError(f"{name}: onnx2torch can't turn it into torch: {error}") from error


def _foldable(model: bytes, name: str) -> onnx.ModelProto:
    try:
        # Folding leaves onnx2torch fewer operators to know, and removes shape arithmetic it would redo every time.
        return onnx.load_from_string(fold_constants(model))
    # ONNX Runtime and protobuf raise unrelated classes on bytes that are no model.
    except Exception as error:
        raise ClassifierError(f"{name}: not an ONNX model that ONNX Runtime can run: {error}") from error


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
