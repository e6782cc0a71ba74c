"""Small changes of a classifier's graph: the weights of one filter at a time, a little off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHANGES: Final = 48
NOISE: Final = 0.01
"""Standard deviation of what is added to a filter's weights, in standard deviations of its layer's."""
_LEAST_WEIGHTS: Final = 64  # what has fewer is a bias, a scale or a normalisation
_FLOATS: Final = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}


def weights_of(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The weights of a graph's layers, in the order in which it holds them: floating point, of two axes or more.

    Those of integers, as in a quantised graph, are not among them.
    """
    constants = [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    return [tensor for tensor in [*model.graph.initializer, *constants] if _is_weight(tensor)]


def changed_filters(model: bytes, *, seed: int, count: int = CHANGES) -> Iterator[bytes]:
    """The same graph with normal noise on the weights of one filter: of one layer, of one place on the first axis.

    Layers take turns; where there are more than `count`, so many of them, evenly spread.

    Args:
        model: An ONNX model, in one piece.
        seed: Of the filters and the noise.
        count: How many such graphs, if it has weights at all.
    """
    proto = onnx.load_from_string(model)
    layers = weights_of(proto)
    evenly = np.linspace(0, len(layers) - 1, min(len(layers), count)).round().astype(int)
    generator = np.random.default_rng(seed)
    for turn in range(count if layers else 0):
        tensor = layers[evenly[turn % len(evenly)]]
        kept = numpy_helper.to_array(tensor)
        write(tensor, _noisy(kept, int(generator.integers(len(kept))), generator))
        yield proto.SerializeToString()
        write(tensor, kept)


def write(tensor: onnx.TensorProto, values: NDArray[Any]) -> None:
    """Put other values of the same type and shape into a tensor."""
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _noisy(values: NDArray[Any], at: int, generator: np.random.Generator) -> NDArray[Any]:
    changed = values.copy()
    scale = NOISE * float(values.std(dtype=np.float64))
    changed[at] = changed[at] + scale * generator.standard_normal(values.shape[1:])
    return changed


def _is_weight(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type in _FLOATS and len(tensor.dims) > 1 and int(np.prod(tensor.dims)) >= _LEAST_WEIGHTS
