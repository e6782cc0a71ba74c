"""Versions of one ONNX classifier in other conventions, made by wrapping its graph. They answer the same on the
same image, once it is encoded their way.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_IMAGE = "deployed_image"
_ANSWER = "deployed_answer"


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
    node = helper.make_node("Transpose", [_IMAGE], [proto.graph.input[0].name], perm=[0, 3, 1, 2])
    return _put_before(proto, [node], (batch, height, width, channels), _element_type(proto))


def bgr(model: bytes) -> bytes:
    """The same classifier for NCHW images whose channels run blue, green, red."""
    proto = onnx.load_from_string(model)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "deployed_order"))
    node = helper.make_node("Gather", [_IMAGE, "deployed_order"], [proto.graph.input[0].name], axis=1)
    return _put_before(proto, [node], _dims(proto), _element_type(proto))


def uint8(model: bytes) -> bytes:
    """The same classifier for uint8 pixels 0..255."""
    proto = onnx.load_from_string(model)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "deployed_scale"))
    nodes = [
        helper.make_node("Cast", [_IMAGE], ["deployed_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["deployed_float", "deployed_scale"], [proto.graph.input[0].name]),
    ]
    return _put_before(proto, nodes, _dims(proto), TensorProto.UINT8)


def float16(model: bytes) -> bytes:
    """The same classifier for float16 pixels."""
    proto = onnx.load_from_string(model)
    node = helper.make_node("Cast", [_IMAGE], [proto.graph.input[0].name], to=TensorProto.FLOAT)
    return _put_before(proto, [node], _dims(proto), TensorProto.FLOAT16)


def probabilities(model: bytes) -> bytes:
    """The same classifier with a softmax at its end."""
    proto = onnx.load_from_string(model)
    (logits,) = proto.graph.output
    answer = onnx.ValueInfoProto()
    answer.CopyFrom(logits)
    answer.name = _ANSWER
    proto.graph.node.append(helper.make_node("Softmax", [logits.name], [_ANSWER], axis=1))
    proto.graph.output.remove(logits)
    proto.graph.output.append(answer)
    return _checked(proto)


def _dims(proto: onnx.ModelProto) -> tuple[int | str, ...]:
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    return tuple(dim.dim_param or dim.dim_value for dim in dims)


def _element_type(proto: onnx.ModelProto) -> int:
    return int(proto.graph.input[0].type.tensor_type.elem_type)


def _put_before(
    proto: onnx.ModelProto, nodes: list[onnx.NodeProto], dims: tuple[int | str, ...], element_type: int
) -> bytes:
    """Let `nodes`, fed by a new input, produce what was the graph's input."""
    del proto.graph.input[:]
    proto.graph.input.append(helper.make_tensor_value_info(_IMAGE, element_type, dims))
    for position, node in enumerate(nodes):
        proto.graph.node.insert(position, node)
    return _checked(proto)


def _checked(proto: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())
