"""Changes to a graph happen where they are proven harmless, and answers never change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from detector.classifiers.base import ImageSpec, OutputKind
from detector.classifiers.export import export_onnx
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.surgery import normalise_graph, read_model
from detector.classifiers.torch import TorchClassifier
from detector.errors import ClassifierError
from tests.support import variants
from tests.support.tiny import TINY_SPEC, TinyNet

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array


class _Attention(nn.Module):
    """Squeeze-and-excitation, attention over positions, layer norm: what newer networks are built of."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.gate = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.queries = nn.Linear(8, 24)
        self.last = nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.patches(images)
        maps = maps * torch.sigmoid(self.gate(maps.mean(dim=(2, 3))))[:, :, None, None]
        tokens = self.norm(maps.flatten(2).transpose(1, 2))
        query, key, value = self.queries(tokens).chunk(3, dim=-1)
        mixed = torch.softmax(query @ key.transpose(1, 2) / 8**0.5, dim=-1) @ value
        logits: torch.Tensor = self.last((tokens + mixed).mean(dim=1))
        return logits


def _fixed_export(module: nn.Module, batch: int) -> bytes:
    """What `torch.onnx.export` without dynamic axes leaves: sizes baked into the graph."""
    classifier = TorchClassifier(module.eval(), TINY_SPEC)
    return variants.fixed_batch(export_onnx(classifier), batch)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("network", [TinyNet, _Attention])
def test_a_fixed_batch_opens(network: type[nn.Module], batch: int, images: Float32Array) -> None:
    torch.manual_seed(1)
    fixed = _fixed_export(network(), batch)
    opened, notes = normalise_graph(fixed)
    assert OnnxClassifier(fixed).fixed_batch == batch
    assert OnnxClassifier(opened).fixed_batch is None
    assert notes == [f"the batch dimension was fixed at {batch}; it was made dynamic, with the same answers"]
    np.testing.assert_allclose(
        OnnxClassifier(opened).logits(images), OnnxClassifier(fixed).logits(images), rtol=1e-4, atol=1e-4
    )


def test_the_cifar_classifier_opens(cifar_model: bytes) -> None:
    opened, _ = normalise_graph(variants.fixed_batch(cifar_model))
    pixels = np.random.default_rng(4).random((6, 3, 32, 32), dtype=np.float32)
    classifier = OnnxClassifier(opened)
    assert classifier.fixed_batch is None
    np.testing.assert_allclose(classifier.logits(pixels), OnnxClassifier(cifar_model).logits(pixels), atol=1e-4)


_FLAT = [helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0)]
UNSAFE = {
    "mixes the images": [
        *_FLAT,
        helper.make_node("ReduceMean", ["means"], ["centre"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["means", "centre"], ["classes"]),
    ],
    "one offset per place in the batch": [*_FLAT, helper.make_node("Add", ["means", "per_image"], ["classes"])],
    "reshapes across images": [
        *_FLAT,
        helper.make_node("Reshape", ["means", "turned"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["classes"], perm=[1, 0]),
    ],
    "transposes the batch": [
        *_FLAT,
        helper.make_node("Transpose", ["means"], ["columns"], perm=[1, 0]),
        helper.make_node("Softmax", ["columns"], ["mixed"], axis=1),
        helper.make_node("Transpose", ["mixed"], ["classes"], perm=[1, 0]),
    ],
    "softmax over the batch": [*_FLAT, helper.make_node("Softmax", ["means"], ["classes"], axis=0)],
}


@pytest.mark.parametrize("name", UNSAFE)
def test_a_graph_that_mixes_its_images_keeps_its_batch(name: str) -> None:
    model = _graph(UNSAFE[name], batch=2)
    left, notes = normalise_graph(model)
    assert OnnxClassifier(left).fixed_batch == 2
    assert left == model
    assert notes == [
        "the batch dimension is fixed at 2 and could not be made dynamic safely; images run in groups of 2"
    ]


def test_a_looping_graph_is_still_right() -> None:
    """A loop around a batch of one answers every image as if it were alone."""
    mixing = UNSAFE["softmax over the batch"]
    looped, notes = normalise_graph(_graph([*mixing[:-1], helper.make_node("Gemm", ["w", "means"], ["classes"])], 1))
    pixels = np.random.default_rng(0).random((5, 3, 4, 4), dtype=np.float32)
    classifier = OnnxClassifier(looped)
    assert "groups of 1" in notes[0]
    np.testing.assert_allclose(classifier.logits(pixels), 2 * pixels.mean(axis=(2, 3)), atol=1e-5)


def test_a_false_promise_of_any_batch_is_withdrawn() -> None:
    model = _graph(UNSAFE["mixes the images"], batch="batch")
    closed, notes = normalise_graph(model)
    assert OnnxClassifier(closed).fixed_batch == 1
    assert "says it takes any batch" in notes[0]


def test_a_final_softmax_is_cut(tiny_model: bytes, images: Float32Array) -> None:
    cut, notes = normalise_graph(variants.probabilities(tiny_model))
    classifier = OnnxClassifier(cut)
    assert notes == ["the final softmax was cut off, so that the model puts out logits"]
    assert classifier.output_kind is OutputKind.LOGITS
    assert classifier.output_name == "logits"
    np.testing.assert_allclose(classifier.logits(images), OnnxClassifier(tiny_model).logits(images), atol=1e-6)


def test_a_model_that_needs_nothing_is_left_alone(tiny_model: bytes) -> None:
    assert normalise_graph(tiny_model) == (tiny_model, [])


def test_all_conventions_at_once(tiny_model: bytes, images: Float32Array) -> None:
    wrapped = variants.fixed_batch(variants.uint8(variants.nhwc(variants.probabilities(tiny_model))), 3)
    opened, notes = normalise_graph(wrapped)
    assert len(notes) == 2
    np.testing.assert_allclose(
        OnnxClassifier(opened).logits(images), OnnxClassifier(tiny_model).logits(images), atol=1e-5
    )


def test_weights_in_a_file_of_their_own(tiny_model: bytes, images: Float32Array, tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    onnx.save(
        onnx.load_from_string(tiny_model), path, save_as_external_data=True, location="tiny.weights", size_threshold=0
    )
    assert (tmp_path / "tiny.weights").stat().st_size > 1000
    whole = read_model(path)
    (tmp_path / "tiny.weights").unlink()
    np.testing.assert_array_equal(OnnxClassifier(whole).logits(images), OnnxClassifier(tiny_model).logits(images))
    with pytest.raises(ClassifierError, match=r"tiny\.onnx: can't be read"):
        read_model(path)


def test_a_file_of_one_piece_is_read_as_it_is(tiny_model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_model)
    assert read_model(path) == tiny_model


def test_bytes_that_are_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(ClassifierError, match=r"text\.onnx: not an ONNX model"):
        read_model(path)
    with pytest.raises(ClassifierError, match="not an ONNX model"):
        normalise_graph(b"not a model", spec=ImageSpec(height=4, width=4))


def _graph(nodes: list[onnx.NodeProto], batch: int | str) -> bytes:
    rows = batch if isinstance(batch, int) else 1
    constants = [
        numpy_helper.from_array(np.arange(rows * 3, dtype=np.float32).reshape(rows, 3), "per_image"),
        numpy_helper.from_array(np.array([3, rows], np.int64), "turned"),
        numpy_helper.from_array(2 * np.eye(rows, dtype=np.float32), "w"),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "mixing",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 4, 4])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [batch, 3])],
        [constant for constant in constants if constant.name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
