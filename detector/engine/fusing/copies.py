"""Foreign graphs within the one that is written: a classifier may run twice, and its weights are stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, inliner, version_converter

from detector.engine.fusing.writer import LEAST_OPSET, subgraphs
from detector.errors import FusionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.engine.fusing.writer import GraphWriter

_DEFAULT_DOMAINS = ("", "ai.onnx")


class ForeignGraph:
    """A model whose graph can be written into another, as often as wanted.

    Args:
        model: With one input; its opset is raised to `LEAST_OPSET` if it is lower.
        name: What its tensors' names begin with, so that two graphs' never meet.

    Attributes:
        outputs: Sizes of each output's axes, by name; 0 for those that vary.
        input_sizes: Those of the input.

    Raises:
        FusionError: It can't be read, or its opset not be raised.
    """

    def __init__(self, model: bytes, name: str) -> None:
        try:
            proto = inliner.inline_local_functions(onnx.load_from_string(model))
            if _opset(proto) < LEAST_OPSET:
                proto = version_converter.convert_version(proto, LEAST_OPSET)
        # protobuf and onnx raise unrelated classes on what they can't read or convert.
        except Exception as error:
            raise FusionError(f"the {name}'s graph can't be taken apart: {str(error).splitlines()[0]}") from error
        self.opset = _opset(proto)
        self.ir_version = proto.ir_version
        self.domains = {entry.domain: entry.version for entry in proto.opset_import if entry.domain}
        self.outputs = {entry.name: _sizes(entry) for entry in proto.graph.output}
        self._name, self._copies = name, 0
        self._constants, self._nodes = _parts(proto.graph)
        self._shared = {entry.name for entry in self._constants}
        (images,) = (entry for entry in proto.graph.input if entry.name not in self._shared)
        self.input = images.name
        self.input_sizes = _sizes(images)
        for entry in self._constants:
            entry.name = f"{name}/{entry.name}"

    def write(self, writer: GraphWriter, images: str) -> Callable[[str], str]:
        """Write a copy of its nodes.

        Args:
            writer: Where to.
            images: What it reads.

        Returns:
            What a tensor of the graph is called in this copy.
        """
        self._copies += 1
        own = f"{self._name}{self._copies}/"

        def renamed(name: str) -> str:
            if name == self.input:
                return images
            shared = f"{self._name}/" if name in self._shared else own
            return shared + name if name else ""

        writer.add_constants(self._constants)
        writer.add_nodes(_renamed(node, renamed) for node in self._nodes)
        return renamed


def _sizes(entry: ValueInfoProto) -> tuple[int, ...]:
    return tuple(size.dim_value for size in entry.type.tensor_type.shape.dim)


def _opset(proto: onnx.ModelProto) -> int:
    return next((entry.version for entry in proto.opset_import if entry.domain in _DEFAULT_DOMAINS), 1)


def _parts(graph: onnx.GraphProto) -> tuple[list[TensorProto], list[NodeProto]]:
    """Its constants, those in nodes of their own among them, and its other nodes."""
    constants, nodes = list(graph.initializer), []
    for node in graph.node:
        values = [entry.t for entry in node.attribute if node.op_type == "Constant" and entry.name == "value"]
        if values:
            constant = TensorProto()
            constant.CopyFrom(values[0])
            constant.name = node.output[0]
            constants.append(constant)
        else:
            nodes.append(node)
    return constants, nodes


def _renamed(node: NodeProto, rename: Callable[[str], str]) -> NodeProto:
    """A copy of a node with other names, in its subgraphs too."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = ""
    for names in (copy.input, copy.output):
        names[:] = [rename(name) for name in names]
    for graph in subgraphs(copy):
        inner = [_renamed(entry, rename) for entry in graph.node]
        del graph.node[:]
        graph.node.extend(inner)
        del graph.value_info[:]
        entries: list[TensorProto | ValueInfoProto] = [*graph.initializer, *graph.input, *graph.output]
        for entry in entries:
            entry.name = rename(entry.name)
    return copy


def opset_imports(opset: int, *graphs: ForeignGraph) -> list[onnx.OperatorSetIdProto]:
    """What a model must import that holds these graphs: of each domain the newest version."""
    domains = {"": opset}
    for graph in graphs:
        for domain, version in graph.domains.items():
            domains[domain] = max(version, domains.get(domain, 0))
    return [helper.make_opsetid(domain, version) for domain, version in domains.items()]
