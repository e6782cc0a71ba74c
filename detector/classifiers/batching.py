"""Proves that an ONNX graph built for a fixed batch treats its images one by one, and opens its batch axis.

The proof is structural. Tensors that depend on the images are *batched*: axis 0 counts images. The images are batched;
every operator that reads a batched tensor must be one whose rule, below, says that image i of its output depends on
image i of its inputs alone. An operator without a rule, or whose rule does not hold, ends the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BATCH_AXIS = "batch"

# Operators whose first input may depend on the images; what else they read is constant.
_SAMPLE_WISE = frozenset(
    "Abs AveragePool Cast Ceil Celu Clip Conv ConvTranspose DepthToSpace Elu Erf Exp Floor Gelu GlobalAveragePool "  # noqa: SIM905 - a list of words
    "GlobalMaxPool GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN LeakyRelu Log LpPool "
    "MaxPool Mish Neg Reciprocal Relu Round Selu Sigmoid Sign Softplus Softsign SpaceToDepth Sqrt Swish Tanh "
    "ThresholdedRelu".split()
)
_ELEMENT_WISE = frozenset(
    "Add Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mul PRelu Pow Sub Sum Where".split()  # noqa: SIM905 - a list of words
)
_REDUCTIONS = frozenset(
    f"Reduce{how}" for how in ("L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)
_ALONG_AN_AXIS = frozenset({"ArgMax", "LayerNormalization", "LogSoftmax", "LpNormalization", "Softmax", "Split"})
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


@dataclass
class _Facts:
    """What is known about a graph's tensors while its nodes are walked in order."""

    batch: int
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, NDArray[np.generic]]
    batched: set[str] = field(default_factory=set)
    reshapes: list[onnx.NodeProto] = field(default_factory=list)

    def rank(self, name: str) -> int:
        return len(self.shapes[name])

    def ints(self, node: onnx.NodeProto, attribute: str, position: int) -> list[int] | None:
        """Integers an operator takes as an attribute in old opsets and as a constant input in new ones."""
        given = _attribute(node, attribute)
        if given is not None:
            return [int(value) for value in given]
        if len(node.input) <= position or node.input[position] not in self.constants:
            return None
        return [int(value) for value in self.constants[node.input[position]].ravel()]


def open_batch_axis(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy of a graph that takes any number of images, where the structure proves that its answers stay the same.

    Args:
        proto: One input, (B, ...), with B and the other sizes fixed.

    Returns:
        The graph with its batch axis named ``batch``; None where there is no proof.
    """
    try:
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        facts = _known(proto)
        if not all(_walk(node, facts) for node in proto.graph.node):
            return None
        if not all(output.name in facts.batched for output in proto.graph.output):
            return None
    # A tensor whose shape could not be inferred, or an operator without what its rule reads: no proof.
    except (LookupError, TypeError, ValueError):
        return None
    for node in facts.reshapes:
        _keep_first_axis(proto.graph, node, facts)
    for value in (*proto.graph.input, *proto.graph.output):
        if value.name in facts.batched:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    del proto.graph.value_info[:]
    return proto


def _known(proto: onnx.ModelProto) -> _Facts:
    constants = {entry.name: numpy_helper.to_array(entry) for entry in proto.graph.initializer}
    for node in proto.graph.node:
        value = _attribute(node, "value") if node.op_type == "Constant" else None
        if value is not None:
            constants[node.output[0]] = numpy_helper.to_array(value)
    shapes = {name: tuple(value.shape) for name, value in constants.items()}
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    (images,) = [value.name for value in proto.graph.input if value.name not in constants]
    return _Facts(batch=shapes[images][0], shapes=shapes, constants=constants, batched={images})


def _walk(node: onnx.NodeProto, facts: _Facts) -> bool:
    """Check one node and record whether its outputs are batched."""
    if node.op_type in _RANDOM or any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute):
        return False
    if not any(name in facts.batched for name in node.input):
        return True
    rule = _rule(node)
    if rule is None or not rule(node, facts):
        return False
    outputs = [name for name in node.output if name]
    facts.batched.update(outputs)
    return all(facts.shapes[name][0] == facts.batch for name in outputs)


def _rule(node: onnx.NodeProto) -> Callable[[onnx.NodeProto, _Facts], bool] | None:
    if node.domain not in {"", "ai.onnx"}:
        return None
    for operators, rule in _FAMILIES:
        if node.op_type in operators:
            return rule
    return _SPECIAL.get(node.op_type)


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return None


def _first_alone(node: onnx.NodeProto, facts: _Facts) -> bool:
    """Only the first input depends on the images."""
    return node.input[0] in facts.batched and not any(name in facts.batched for name in node.input[1:])


def _broadcasts(node: onnx.NodeProto, facts: _Facts) -> bool:
    """Operands line up on the batch axis: full rank where they depend on the images, one for all where they don't."""
    rank = max(facts.rank(name) for name in node.input)
    numpy_rules = _attribute(node, "broadcast") is None  # opsets below 7 had rules of their own
    return numpy_rules and all(_lines_up(name, rank, facts) for name in node.input)


def _lines_up(name: str, rank: int, facts: _Facts) -> bool:
    if name in facts.batched:
        return facts.rank(name) == rank
    return facts.rank(name) < rank or facts.shapes[name][0] == 1


def _off_batch(axes: list[int] | None, rank: int) -> bool:
    return axes is not None and all(axis % rank != 0 for axis in axes)


def _along_axis(node: onnx.NodeProto, facts: _Facts) -> bool:
    default = {"Split": 0, "ArgMax": 0, "Softmax": 1, "LogSoftmax": 1}.get(node.op_type, -1)
    axis = _attribute(node, "axis")
    axes = [default if axis is None else int(axis)]
    return _first_alone(node, facts) and facts.rank(node.input[0]) > 1 and _off_batch(axes, facts.rank(node.input[0]))


def _reduction(node: onnx.NodeProto, facts: _Facts) -> bool:
    axes = facts.ints(node, "axes", 1)
    return bool(axes) and _first_alone(node, facts) and _off_batch(axes, facts.rank(node.input[0]))


def _axes_after(node: onnx.NodeProto, facts: _Facts) -> bool:
    """Squeeze and Unsqueeze: the axes named count in the larger of input and output."""
    axes = facts.ints(node, "axes", 1)
    rank = max(facts.rank(node.input[0]), facts.rank(node.output[0]))
    return bool(axes) and _first_alone(node, facts) and _off_batch(axes, rank)


def _gemm(node: onnx.NodeProto, facts: _Facts) -> bool:
    bias_fits = len(node.input) < 3 or _lines_up(node.input[2], 2, facts)  # noqa: PLR2004 - A, B and C
    return _first_alone(node, facts) and not _attribute(node, "transA") and bias_fits


def _matmul(node: onnx.NodeProto, facts: _Facts) -> bool:
    left, right = node.input
    if left not in facts.batched:
        return False
    if right in facts.batched:
        return facts.rank(left) == facts.rank(right) > 2  # noqa: PLR2004 - a stack of matrices
    return facts.rank(right) <= 2 or _lines_up(right, facts.rank(left), facts)  # noqa: PLR2004 - one matrix for all


def _batch_norm(node: onnx.NodeProto, facts: _Facts) -> bool:
    return _first_alone(node, facts) and not _attribute(node, "training_mode")


def _dropout(node: onnx.NodeProto, facts: _Facts) -> bool:
    training = node.input[2] if len(node.input) > 2 else ""  # noqa: PLR2004 - data, ratio, training_mode
    return _first_alone(node, facts) and (not training or not facts.constants[training].any())


def _flatten(node: onnx.NodeProto, facts: _Facts) -> bool:
    axis = _attribute(node, "axis")
    return axis is None or int(axis) % facts.rank(node.input[0]) == 1


def _transpose(node: onnx.NodeProto, _: _Facts) -> bool:
    order = _attribute(node, "perm")
    return order is not None and order[0] == 0


def _concat(node: onnx.NodeProto, facts: _Facts) -> bool:
    batched = all(name in facts.batched for name in node.input)
    return batched and _off_batch([int(_attribute(node, "axis"))], facts.rank(node.input[0]))


def _gather(node: onnx.NodeProto, facts: _Facts) -> bool:
    axis = _attribute(node, "axis")
    return _first_alone(node, facts) and _off_batch([int(axis or 0)], facts.rank(node.input[0]))


def _slice(node: onnx.NodeProto, facts: _Facts) -> bool:
    return _first_alone(node, facts) and _off_batch(facts.ints(node, "axes", 3), facts.rank(node.input[0]))


def _pad(node: onnx.NodeProto, facts: _Facts) -> bool:
    pads = facts.ints(node, "pads", 1)
    rank = facts.rank(node.input[0])
    return _first_alone(node, facts) and pads is not None and len(pads) == 2 * rank and pads[0] == pads[rank] == 0


def _tile(node: onnx.NodeProto, facts: _Facts) -> bool:
    return _first_alone(node, facts) and int(facts.constants[node.input[1]][0]) == 1


def _resize(node: onnx.NodeProto, facts: _Facts) -> bool:
    """By constant factors only: constant sizes would fix the batch again."""
    scales = facts.constants[node.input[2 if node.op_type == "Resize" else 1]].ravel()
    sized = len(node.input) > 3 and bool(node.input[3])  # noqa: PLR2004 - data, roi, scales, sizes
    whole = len(scales) == facts.rank(node.input[0]) and float(scales[0]) == 1
    return _first_alone(node, facts) and whole and not sized


def _quantisation(node: onnx.NodeProto, facts: _Facts) -> bool:
    axis = _attribute(node, "axis")
    one_scale = facts.constants[node.input[1]].size == 1
    return _first_alone(node, facts) and (
        one_scale or _off_batch([1 if axis is None else int(axis)], facts.rank(node.input[0]))
    )


def _reshape(node: onnx.NodeProto, facts: _Facts) -> bool:
    """An equal first axis before and after means that every image is reshaped on its own."""
    if not _first_alone(node, facts) or node.input[1] not in facts.constants or _attribute(node, "allowzero"):
        return False
    facts.reshapes.append(node)
    return True


def _keep_first_axis(graph: onnx.GraphProto, node: onnx.NodeProto, facts: _Facts) -> None:
    """Let a Reshape copy its first axis (a 0 means that) instead of naming the number of images."""
    target = np.array(facts.shapes[node.output[0]], np.int64)
    target[0] = 0
    name = f"{node.output[0]}_per_image_shape"
    graph.initializer.append(numpy_helper.from_array(target, name))
    node.input[1] = name


_FAMILIES: tuple[tuple[frozenset[str], Callable[[onnx.NodeProto, _Facts], bool]], ...] = (
    (_SAMPLE_WISE, _first_alone),
    (_ELEMENT_WISE, _broadcasts),
    (_REDUCTIONS, _reduction),
    (_ALONG_AN_AXIS, _along_axis),
)
_SPECIAL: dict[str, Callable[[onnx.NodeProto, _Facts], bool]] = {
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "DequantizeLinear": _quantisation,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "QuantizeLinear": _quantisation,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Squeeze": _axes_after,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _axes_after,
    "Upsample": _resize,
}
