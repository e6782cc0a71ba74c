"""The layers of an ONNX classifier: found in its graph, and read by making them outputs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from detector.classifiers.outputs import as_rows, as_spec_images, filled, probe_images, to_logits
from detector.classifiers.session import open_session
from detector.classifiers.taps import find_stretches, measured_shapes, remove_taps
from detector.errors import AnalysisError, ClassifierError
from detector.research.representation.layered import Said
from detector.research.representation.layers import Learnt, choose_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.classifiers.onnx import OnnxClassifier
    from detector.research.representation.layers import Layer

_BATCH = 250
_PROBES = 3
_MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "FusedMatMul"})
_FLOATS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE})


class OnnxLayers:
    """An ONNX classifier and its layers.

    Args:
        model: In one piece, with or without taps.
        classifier: Opened from it: how it wants images, and what it puts out.
        threads: CPU threads within one run; None leaves the choice to ONNX Runtime.

    Raises:
        ClassifierError: The graph can't be run.
        AnalysisError: Nothing lies between its images and its answers.
    """

    def __init__(self, model: bytes, classifier: OnnxClassifier, *, threads: int | None = None) -> None:
        self.name = classifier.description
        self.classes = len(classifier.labels)
        self.most = classifier.fixed_batch or _BATCH
        self._spec: ImageSpec = classifier.spec
        self._kind, self._fixed = classifier.output_kind, classifier.fixed_batch
        self._input, self._output = classifier.input_name, classifier.output_name
        proto = onnx.load_from_string(remove_taps(model))
        self.layers = _layers(proto, self._encoded(probe_images(classifier.spec, self._fixed or _PROBES)))
        if not self.layers:
            raise AnalysisError(f"{self.name}: no hidden layer that everything passes through")
        there = {entry.name for entry in proto.graph.output}
        wanted = [layer.tensor for layer in self.layers if layer.tensor not in there]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
        self._session = open_session(proto.SerializeToString(), threads=threads).runtime

    def say(self, images: Float32Array, layers: Sequence[Layer]) -> Said:
        """As for `Layered`."""
        batch = self._encoded(as_spec_images(images, self._spec))
        names = [layer.tensor for layer in layers]
        try:
            rows, *hidden = self._session.run([self._output, *names], {self._input: batch})
        # ONNX Runtime's exceptions share no base class below Exception.
        except Exception as error:
            raise ClassifierError(f"{self.name}: the graph failed: {str(error).splitlines()[0]}") from error
        count = len(images)
        found = {name: np.asarray(value)[:count] for name, value in zip(names, hidden, strict=True)}
        return Said(found, to_logits(as_rows(rows, len(batch), self.name)[:count], self._kind))

    def _encoded(self, images: Float32Array) -> Float32Array:
        encoded: Float32Array = self._spec.encode(filled(images, self._fixed or 1))
        return encoded


def _layers(proto: onnx.ModelProto, images: Float32Array) -> tuple[Layer, ...]:
    nodes, found = find_stretches(proto.graph)
    learnt = _learnt(proto.graph)
    reads = [Learnt.of(len(learnt.intersection(node.input)), multiplies=node.op_type in _MULTIPLYING) for node in nodes]
    shapes = measured_shapes(proto, [stretch.end for stretch in found], images)
    return choose_layers(found, reads, {name: tuple(shape[1:]) for name, shape in shapes.items()})


def _learnt(graph: onnx.GraphProto) -> set[str]:
    """Names of constants that may have been learnt: arrays of floats, and what is computed from such alone."""
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            arrays[node.output[0]] = node.attribute[0].t
    found = {
        name for name, tensor in arrays.items() if tensor.data_type in _FLOATS and np.prod(tensor.dims, dtype=int) > 1
    }
    constant = set(arrays)
    for node in graph.node:
        if node.input and constant.issuperset(node.input):
            constant.update(node.output)
            found.update(node.output if found.intersection(node.input) else ())
    return found
