"""Small changes of a classifier's graph: its layers' weights, a little off, one layer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_LAYERS: Final = 24
NOISE: Final = 0.01
"""Standard deviation of what is added to a layer's weights, in standard deviations of these weights."""
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


def changed_layers(model: bytes, *, seed: int) -> Iterator[bytes]:
    """The same graph with normal noise on the weights of one layer, for each layer in turn or `MOST_LAYERS` of them.

    Args:
        model: An ONNX model, in one piece.
        seed: Of the noise.
    """
    proto = onnx.load_from_string(model)
    layers = weights_of(proto)
    chosen = np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int)
    for index in chosen:
        tensor = layers[index]
        generator = np.random.default_rng((seed, int(index)))
        kept = onnx.TensorProto()
        kept.CopyFrom(tensor)
        write(tensor, _noisy(numpy_helper.to_array(tensor), generator))
        yield proto.SerializeToString()
        tensor.CopyFrom(kept)


def write(tensor: onnx.TensorProto, values: NDArray[Any]) -> None:
    """Put other values of the same type and shape into a tensor."""
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _noisy(values: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    noise = generator.standard_normal(values.shape) * (NOISE * float(values.std(dtype=np.float64)))
    return np.asarray((values + noise).astype(values.dtype))


def _is_weight(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type in _FLOATS and len(tensor.dims) > 1 and int(np.prod(tensor.dims)) >= _LEAST_WEIGHTS
