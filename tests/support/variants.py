"""Versions of one ONNX classifier in other conventions, made by wrapping its graph; they can be wrapped again.

They answer the same on the same image, once it is encoded their way.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def fixed_batch(model: bytes, batch: int = 1) -> bytes:
    """The same graph, declared for exactly `batch` images."""
    proto = onnx.load_from_string(model)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return _checked(proto)


def nhwc(model: bytes) -> bytes:
    """The same classifier for NHWC images."""
    proto = onnx.load_from_string(model)
    batch, channels, height, width = _dims(proto)
    node = helper.make_node("Transpose", [_outer(proto)], [proto.graph.input[0].name], perm=[0, 3, 1, 2])
    return _put_before(proto, [node], (batch, height, width, channels), _element_type(proto))


def bgr(model: bytes) -> bytes:
    """The same classifier for images whose channels run blue, green, red."""
    proto = onnx.load_from_string(model)
    order = f"{_outer(proto)}_order"
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), order))
    node = helper.make_node("Gather", [_outer(proto), order], [proto.graph.input[0].name], axis=_channel_axis(proto))
    return _put_before(proto, [node], _dims(proto), _element_type(proto))


def uint8(model: bytes) -> bytes:
    """The same classifier for uint8 pixels 0..255."""
    proto = onnx.load_from_string(model)
    outer = _outer(proto)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), f"{outer}_scale"))
    nodes = [
        helper.make_node("Cast", [outer], [f"{outer}_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", [f"{outer}_float", f"{outer}_scale"], [proto.graph.input[0].name]),
    ]
    return _put_before(proto, nodes, _dims(proto), TensorProto.UINT8)


def levels(model: bytes) -> bytes:
    """The same classifier for pixels 0..255 as floats."""
    proto = onnx.load_from_string(model)
    outer = _outer(proto)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), f"{outer}_scale"))
    node = helper.make_node("Div", [outer, f"{outer}_scale"], [proto.graph.input[0].name])
    return _put_before(proto, [node], _dims(proto), _element_type(proto))


def float16(model: bytes) -> bytes:
    """The same classifier for float16 pixels."""
    proto = onnx.load_from_string(model)
    node = helper.make_node("Cast", [_outer(proto)], [proto.graph.input[0].name], to=TensorProto.FLOAT)
    return _put_before(proto, [node], _dims(proto), TensorProto.FLOAT16)


def probabilities(model: bytes) -> bytes:
    """The same classifier with a softmax at its end."""
    proto = onnx.load_from_string(model)
    (logits,) = proto.graph.output
    answer = onnx.ValueInfoProto()
    answer.CopyFrom(logits)
    answer.name = f"{logits.name}_softmax"
    proto.graph.node.append(helper.make_node("Softmax", [logits.name], [answer.name], axis=1))
    proto.graph.output.remove(logits)
    proto.graph.output.append(answer)
    return _checked(proto)


def _outer(proto: onnx.ModelProto) -> str:
    """Name of the input that will stand before the present one."""
    return f"deployed_{proto.graph.input[0].name}"


def _channel_axis(proto: onnx.ModelProto) -> int:
    return 1 if _dims(proto)[1] in {1, 3} else 3


def _dims(proto: onnx.ModelProto) -> tuple[int | str, ...]:
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    return tuple(dim.dim_param or dim.dim_value for dim in dims)


def _element_type(proto: onnx.ModelProto) -> int:
    return int(proto.graph.input[0].type.tensor_type.elem_type)


def _put_before(
    proto: onnx.ModelProto, nodes: list[onnx.NodeProto], dims: tuple[int | str, ...], element_type: int
) -> bytes:
    """Let `nodes`, fed by a new input, produce what was the graph's input."""
    outer = _outer(proto)
    del proto.graph.input[:]
    proto.graph.input.append(helper.make_tensor_value_info(outer, element_type, dims))
    for position, node in enumerate(nodes):
        proto.graph.node.insert(position, node)
    return _checked(proto)


def _checked(proto: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())
