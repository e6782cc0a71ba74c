"""From what a user points at to what serves."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from detector.classifiers.base import ChannelOrder
from detector.classifiers.loading import load_classifier
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.options import SpecOptions
from detector.errors import ClassifierError, GradientsUnavailableError
from tests.support import variants
from tests.support.tiny import TINY_SPEC, tiny_module

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

FACTORY = "tests.support.factories:tiny_net"


def _write(path: Path, model: bytes) -> Path:
    path.write_bytes(model)
    return path


def test_an_onnx_file(tiny_model: bytes, tiny: TorchClassifier, images: Float32Array, tmp_path: Path) -> None:
    path = _write(tmp_path / "tiny.onnx", tiny_model)
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    loaded = load_classifier(path, labels_file=tmp_path / "labels.txt", threads=1)
    assert loaded.classifier.labels == ("ant", "bee", "cat", "dog")
    assert loaded.classifier.description.startswith("tiny.onnx on ")
    assert loaded.source_digest == hashlib.sha256(tiny_model).hexdigest()
    assert loaded.notes == ()
    np.testing.assert_allclose(loaded.classifier.logits(images), tiny.logits(images), atol=1e-5)
    gradients = loaded.default_gradients
    assert gradients is not None
    assert gradients is loaded.default_gradients
    np.testing.assert_allclose(gradients.logits(images), tiny.logits(images), atol=1e-4)


def test_the_bundled_model_is_the_one_that_answers(tiny_model: bytes, images: Float32Array, tmp_path: Path) -> None:
    deployed = variants.fixed_batch(variants.bgr(variants.nhwc(variants.probabilities(tiny_model))))
    loaded = load_classifier(
        _write(tmp_path / "deployed.onnx", deployed), spec_options=SpecOptions(channel_order=ChannelOrder.BGR)
    )
    assert [note.split(";")[0] for note in loaded.notes] == [
        "the batch dimension was fixed at 1",
        "the final softmax was cut off, so that the model puts out logits",
    ]
    assert loaded.source_digest == hashlib.sha256(deployed).hexdigest()
    bundled = OnnxClassifier(loaded.model, spec=loaded.classifier.spec)
    np.testing.assert_array_equal(bundled.logits(images), loaded.classifier.logits(images))
    np.testing.assert_allclose(bundled.logits(images), OnnxClassifier(tiny_model).logits(images), atol=1e-5)


def test_a_program(tiny: TorchClassifier, images: Float32Array, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pt2"
    torch.export.save(torch.export.export(tiny_module(), (torch.rand(1, *TINY_SPEC.shape),)), path)
    loaded = load_classifier(path)
    assert loaded.classifier.fixed_batch is None
    assert loaded.default_gradients is loaded.torch_classifier
    assert loaded.source_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_allclose(loaded.classifier.logits(images), tiny.logits(images), atol=1e-4)


def test_a_factory_with_its_weights(tiny: TorchClassifier, images: Float32Array, tmp_path: Path) -> None:
    torch.save(tiny_module().state_dict(), tmp_path / "state.pt")
    loaded = load_classifier(FACTORY, spec_options=SpecOptions(height=12, width=10), state=tmp_path / "state.pt")
    again = load_classifier(FACTORY, spec_options=SpecOptions(height=12, width=10), state=tmp_path / "state.pt")
    assert loaded.source_digest == again.source_digest
    assert loaded.model == again.model
    np.testing.assert_allclose(loaded.classifier.logits(images), tiny.logits(images), atol=1e-4)


def test_a_classifier_that_looks_at_nothing_is_noted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Sub", ["means", "means"], ["classes"]),
    ]
    loaded = load_classifier(_write(tmp_path / "blind.onnx", _model(nodes)))
    assert any("the answer is the same for 8 different random images" in note for note in loaded.notes)


def test_a_sigmoid_per_class_is_noted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Sigmoid", ["means"], ["classes"]),
    ]
    loaded = load_classifier(_write(tmp_path / "sigmoid.onnx", _model(nodes)))
    assert any("don't sum to one" in note for note in loaded.notes)


def test_answers_that_change_are_noted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("RandomNormalLike", ["means"], ["noise"]),
        helper.make_node("Add", ["means", "noise"], ["classes"]),
    ]
    loaded = load_classifier(_write(tmp_path / "noisy.onnx", _model(nodes)))
    assert any("answers differ between two runs" in note for note in loaded.notes)


def test_without_gradients_the_reason_is_said(
    tiny_model: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    proto = onnx.load_from_string(tiny_model)
    proto.opset_import[0].version = 20
    loaded = load_classifier(_write(tmp_path / "new.onnx", proto.SerializeToString()))
    with pytest.raises(GradientsUnavailableError, match="opset 20"):
        loaded.gradients()
    with caplog.at_level(logging.WARNING, "isthmus"):
        assert loaded.default_gradients is None
    assert "opset 20" in caplog.text


def test_labels_that_do_not_fit(tiny_model: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("ant\nbee\n")
    with pytest.raises(ClassifierError, match="labels: 2 given, but the classifier has 4 classes"):
        load_classifier(_write(tmp_path / "tiny.onnx", tiny_model), labels_file=tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("source", "reason"),
    [("absent.onnx", "can't be read"), ("absent.pt2", "no such file"), ("model.h5", r"neither a \.pt2")],
)
def test_a_source_that_is_not_there(source: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=reason):
        load_classifier(tmp_path / source)


def _model(nodes: list[onnx.NodeProto]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "suspect",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
