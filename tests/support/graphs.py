"""ONNX classifiers written down node by node, for tests that must know every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import NodeProto

    from detector.classifiers.base import Float32Array

INPUT, OUTPUT = "images", "classes"


def weights(*shape: int, seed: int = 0) -> Float32Array:
    """Random weights, always the same for the same arguments."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, NDArray[Any]],
    *,
    image: Sequence[int],
    classes: int,
    batch: int | str = "batch",
) -> bytes:
    """A classifier with the input `images` (batch, *image), float32, and the output `classes` (batch, classes)."""
    graph = helper.make_graph(
        list(nodes),
        "written down",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, *image])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(proto)
    return bytes(proto.SerializeToString())


def chain(channels: Sequence[int], *, size: int = 8, batch: int | str = "batch") -> bytes:
    """1 x 1 convolutions ``conv_i`` of RGB images to the given channels, averaged over the image; the last are classes.

    Args:
        channels: Of each convolution.
        size: Side of the images.
        batch: As for `model`.
    """
    widths = [3, *channels]
    nodes = [
        helper.make_node("Conv", [f"conv_{i - 1}" if i else INPUT, f"weight_{i}"], [f"conv_{i}"], name=f"node_{i}")
        for i in range(len(channels))
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [f"conv_{len(channels) - 1}"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [OUTPUT]),
    ]
    constants = {f"weight_{i}": weights(widths[i + 1], widths[i], 1, 1, seed=i) for i in range(len(channels))}
    return model(nodes, constants, image=(3, size, size), classes=channels[-1], batch=batch)
