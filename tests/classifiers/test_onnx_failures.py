"""What an ONNX classifier refuses, and that the message names the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, PixelType
from detector.classifiers.onnx import OnnxClassifier
from detector.errors import ClassifierError
from tests.support.tiny import TINY_SPEC

if TYPE_CHECKING:
    from pathlib import Path


def _identity(shape: list[int | str], output: list[int | str], operator: str = "Identity") -> bytes:
    graph = helper.make_graph(
        [helper.make_node(operator, ["images"], ["classes"])],
        "one",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, output)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"absent\.onnx: no such file"):
        OnnxClassifier(tmp_path / "absent.onnx")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(ClassifierError, match=r"text\.onnx: not an ONNX model"):
        OnnxClassifier(path)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        (["n", 3, "height", 8], "pass height"),
        (["n", 3, 8, "width"], "pass width"),
        (["n", 3, 8, 3], r"pass layout \(NCHW or NHWC\)"),
        (["n", 8, 8, 8], r"pass layout \(NCHW or NHWC\)"),
        (["n", 8], "four axes"),
    ],
)
def test_what_the_graph_leaves_open_has_to_be_passed(shape: list[int | str], remedy: str) -> None:
    with pytest.raises(ClassifierError, match=remedy):
        OnnxClassifier(_identity(shape, shape))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (replace(TINY_SPEC, height=13), "height"),
        (replace(TINY_SPEC, width=11), "width"),
        (replace(TINY_SPEC, layout=Layout.NHWC), "layout NHWC"),
        (replace(TINY_SPEC, channel_order=ChannelOrder.GRAY), "channel_order"),
        (replace(TINY_SPEC, dtype=PixelType.FLOAT16), "dtype"),
    ],
)
def test_a_spec_that_contradicts_the_graph(spec: ImageSpec, field: str, tiny_model: bytes) -> None:
    with pytest.raises(ClassifierError, match=field):
        OnnxClassifier(tiny_model, spec=spec)


def test_a_graph_of_two_inputs() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8]) for name in ("left", "right")]
    graph = helper.make_graph([helper.make_node("Add", ["left", "right"], ["sum"])], "two", values, [])
    graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 3, 8, 8]))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ClassifierError, match=r"2 inputs \(left, right\); exactly one, the images, is expected"):
        OnnxClassifier(model.SerializeToString())


def test_several_outputs_need_a_name(tiny_model: bytes) -> None:
    proto = onnx.load_from_string(tiny_model)
    proto.graph.node.append(helper.make_node("Tanh", [proto.graph.output[0].name], ["other"]))
    proto.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["batch", 4]))
    model = proto.SerializeToString()
    with pytest.raises(ClassifierError, match=r"several outputs \(logits, other\): pass output_name"):
        OnnxClassifier(model)
    assert OnnxClassifier(model, output_name="logits").output_name == "logits"
    with pytest.raises(ClassifierError, match="output_name: the model has no output 'absent'"):
        OnnxClassifier(model, output_name="absent")


def test_labels_of_another_count(tiny_model: bytes) -> None:
    with pytest.raises(ClassifierError, match="labels: 3 given, but the classifier has 4 classes"):
        OnnxClassifier(tiny_model, labels=["a", "b", "c"])


def test_an_output_that_is_not_a_row_of_classes() -> None:
    with pytest.raises(ClassifierError, match=r"shape \(4, 3, 8, 8\), not \(4, classes\)"):
        OnnxClassifier(_identity(["n", 3, 8, 8], ["n", 3, 8, 8]))


def test_an_output_that_is_not_finite() -> None:
    """The logarithm of minus one is not a number."""
    graph = helper.make_graph(
        [
            helper.make_node("Neg", ["images"], ["negative"]),
            helper.make_node("Log", ["negative"], ["nan"]),
            helper.make_node("ReduceMean", ["nan"], ["classes"], axes=[2, 3], keepdims=0),
        ],
        "nan",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        OnnxClassifier(model.SerializeToString())


@pytest.mark.parametrize("shape", [(3, 12, 10), (1, 12, 10, 3), (0, 3, 12, 10), (1, 3, 12, 11)])
def test_images_of_another_shape(shape: tuple[int, ...], tiny_model: bytes) -> None:
    with pytest.raises(ClassifierError, match=r"images: shape \(N, 3, 12, 10\) expected"):
        OnnxClassifier(tiny_model).logits(np.zeros(shape, np.float32))
