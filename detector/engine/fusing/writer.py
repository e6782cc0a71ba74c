"""A writer of ONNX graphs: each call appends a node and gives the name of what it puts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

LEAST_OPSET: Final = 13
"""The operators written here read alike from this opset on, but for reductions, which `GraphWriter.reduce` minds."""
_REDUCTION_AXES_AS_INPUT = 18
_PREFIX = "isthmus_fused_"
_LEAST_IR_VERSION = 8


@dataclass(frozen=True)
class Port:
    """Where numbers enter or leave a graph, one row per image.

    Args:
        tensor: Its name within the graph.
        element: Of ONNX's element types.
        sizes: Of one row's axes.
    """

    tensor: str
    element: int
    sizes: tuple[int, ...]

    def described(self, name: str) -> ValueInfoProto:
        """What a model says of it, by the name it has outside."""
        return helper.make_tensor_value_info(name, self.element, ["batch", *self.sizes])


class GraphWriter:
    """A graph in the making.

    Args:
        opset: Of the default domain, at least `LEAST_OPSET`.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def name(self) -> str:
        """A name nobody has yet."""
        self._count += 1
        return f"{_PREFIX}{self._count}"

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator of one output, and give its name."""
        output = self.name()
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any] | np.generic | Sequence[int] | int) -> str:
        """A constant; integers become int64. Equal ones are stored once."""
        array = np.asarray(value, order="C")  # which keeps a single number one
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name()
            self.add_constants([numpy_helper.from_array(array, self._known[key])])
        return self._known[key]

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.float32(value))

    def reshape(self, tensor: str, *shape: int) -> str:
        """Another shape, one size of which may be -1 and those that are 0 stay."""
        return self.op("Reshape", tensor, self.constant(shape))

    def unsqueeze(self, tensor: str, *axes: int) -> str:
        """New axes of size 1."""
        return self.op("Unsqueeze", tensor, self.constant(axes))

    def take(self, tensor: str, indices: Sequence[int] | int, axis: int) -> str:
        """Some entries along an axis; the axis goes where one index is given."""
        return self.op("Gather", tensor, self.constant(indices), axis=axis)

    def transpose(self, tensor: str, *order: int) -> str:
        """The axes in another order."""
        return self.op("Transpose", tensor, perm=order)

    def concat(self, tensors: Sequence[str], axis: int) -> str:
        """Tensors joined along an axis; one alone stays as it is."""
        return tensors[0] if len(tensors) == 1 else self.op("Concat", *tensors, axis=axis)

    def reduce(self, how: str, tensor: str, *axes: int, keep: bool = False) -> str:
        """``ReduceMax``, ``ReduceMean`` and their kind along axes; `how` is what comes after ``Reduce``."""
        if how == "Sum" or self.opset >= _REDUCTION_AXES_AS_INPUT:
            return self.op(f"Reduce{how}", tensor, self.constant(axes), keepdims=int(keep))
        return self.op(f"Reduce{how}", tensor, axes=axes, keepdims=int(keep))

    def add_nodes(self, nodes: Iterable[NodeProto]) -> None:
        """Append nodes made elsewhere, in topological order."""
        self._nodes.extend(nodes)

    def add_constants(self, constants: Iterable[TensorProto]) -> None:
        """Add constants made elsewhere, once for each name."""
        for constant in constants:
            self._constants.setdefault(constant.name, constant)

    def model(
        self,
        image_input: Port,
        outputs: Mapping[str, Port],
        opsets: Iterable[OperatorSetIdProto],
        *,
        ir_version: int,
    ) -> ModelProto:
        """The model, without what no output needs.

        Args:
            image_input: The only input.
            outputs: By the name they get.
            opsets: Of all its domains.
            ir_version: Of the newest part.
        """
        named = [helper.make_node("Identity", [port.tensor], [name]) for name, port in outputs.items()]
        nodes = _needed([*self._nodes, *named], set(outputs))
        used = {name for node in nodes for name in _read(node)}
        graph = helper.make_graph(
            nodes,
            "isthmus",
            [image_input.described(image_input.tensor)],
            [port.described(name) for name, port in outputs.items()],
            [constant for constant in self._constants.values() if constant.name in used],
        )
        return helper.make_model(
            graph,
            opset_imports=list(opsets),
            producer_name="isthmus",
            ir_version=max(ir_version, _LEAST_IR_VERSION),
        )


def float_rows(values: Float32Array | Sequence[float], axes: int) -> Float32Array:
    """Numbers along the first of several axes: float32 (N, 1, 1, ...)."""
    return np.asarray(values, np.float32).reshape(-1, *(1,) * (axes - 1))


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The graphs a node of control flow holds."""
    return [graph for entry in node.attribute for graph in (*([entry.g] if entry.HasField("g") else []), *entry.graphs)]


def _needed(nodes: Sequence[NodeProto], wanted: set[str]) -> list[NodeProto]:
    """The nodes that outputs depend on, in their order."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted |= _read(node)
            kept.append(node)
    return kept[::-1]


def _read(node: NodeProto) -> set[str]:
    """All that a node reads, in its subgraphs too."""
    inner = (name for graph in subgraphs(node) for entry in graph.node for name in _read(entry))
    ends = (entry.name for graph in subgraphs(node) for entry in graph.output)
    return {*node.input, *inner, *ends}
