"""What every scorer is once it is fitted: a name and an ONNX graph from features to scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from detector.scoring.runner import INPUT, OUTPUT, OnnxScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import NodeProto

    from detector.classifiers.base import Float32Array

OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR_VERSION = 8  # the one that goes with opset 17


@dataclass(frozen=True)
class FittedScorer:
    """A fitted scorer.

    Args:
        name: "one-class" or "supervised".
        model: The ONNX graph, as bytes; what a bundle stores and serving runs.
    """

    name: str
    model: bytes

    def score(self, features: Float32Array) -> Float32Array:
        """Score features by the graph itself, so that what is calibrated is what serves."""
        return self._runner.score(features)

    @cached_property
    def _runner(self) -> OnnxScorer:
        return OnnxScorer(self.model)


def float_constants(names: Sequence[str], values: Sequence[NDArray[np.float64] | float]) -> list[TensorProto]:
    """Constants of a graph, in single precision as all that scorers compute with.

    Args:
        names: One for each value.
        values: Of any shape.
    """
    return [
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in zip(names, values, strict=True)
    ]


def prefix_names(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], prefix: str, *, keep: str) -> None:
    """Put a prefix before all names but one, so that a graph may hold several of the same kind.

    Args:
        nodes: Changed in place.
        constants: Of these nodes; changed in place.
        prefix: What to put before.
        keep: The name of what comes from without.
    """
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [name if name == keep else prefix + name for name in names]
    for constant in constants:
        constant.name = prefix + constant.name


def scorer_graph(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], features: int) -> ModelProto:
    """Wrap nodes that read `features` and write `score` into a checked model.

    Args:
        nodes: In topological order.
        constants: Named constants the nodes read.
        features: Length of one feature vector.
    """
    graph = helper.make_graph(
        list(nodes),
        "scorer",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch"])],
        list(constants),
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="isthmus", ir_version=_IR_VERSION)
    checker.check_model(model)
    return model
