"""What deployed models are really like: every convention gives the answers of the plain network."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.classifiers.base import ChannelOrder, Classifier, ImageSpec, Layout, OutputKind, PixelType
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.taps import add_taps, find_layers
from tests.support import variants
from tests.support.tiny import TINY_SPEC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

    Convention = tuple[Callable[[bytes], bytes], ImageSpec | None, float]

BGR_SPEC = replace(TINY_SPEC, channel_order=ChannelOrder.BGR)
CONVENTIONS: list[Convention] = [
    (variants.fixed_batch, None, 1e-5),
    (lambda model: variants.fixed_batch(model, 4), None, 1e-5),
    (variants.nhwc, None, 1e-5),
    (variants.bgr, BGR_SPEC, 1e-5),
    (lambda model: variants.bgr(variants.nhwc(model)), replace(BGR_SPEC, layout=Layout.NHWC), 1e-5),
    (variants.uint8, None, 1e-5),
    (variants.float16, None, 2e-2),
]
NAMES = ["batch of 1", "batch of 4", "NHWC", "BGR", "NHWC BGR", "uint8", "float16"]


@pytest.mark.parametrize("convention", CONVENTIONS, ids=NAMES)
def test_every_convention_answers_as_torch_does(
    convention: Convention, tiny_model: bytes, tiny: TorchClassifier, images: Float32Array
) -> None:
    variant, spec, tolerance = convention
    classifier = OnnxClassifier(variant(tiny_model), spec=spec)
    np.testing.assert_allclose(classifier.logits(images), tiny.logits(images), atol=tolerance)


def test_channel_order_matters(tiny_model: bytes, tiny: TorchClassifier, images: Float32Array) -> None:
    wrong = OnnxClassifier(variants.bgr(tiny_model)).logits(images)
    assert np.abs(wrong - tiny.logits(images)).max() > 0.1


@pytest.mark.parametrize("variant", [variants.fixed_batch, variants.nhwc, variants.uint8])
def test_cifar_variants_predict_alike(variant: Callable[[bytes], bytes], cifar_model: bytes) -> None:
    plain = OnnxClassifier(cifar_model)
    levels = np.random.default_rng(1).integers(0, 256, (9, *plain.spec.shape))
    pixels = (levels / 255).astype(np.float32)
    np.testing.assert_allclose(
        OnnxClassifier(variant(cifar_model)).logits(pixels), plain.logits(pixels), rtol=1e-3, atol=1e-3
    )


def test_spec_is_read_from_the_graph(tiny_model: bytes) -> None:
    assert OnnxClassifier(tiny_model).spec == TINY_SPEC
    assert OnnxClassifier(variants.nhwc(tiny_model)).spec == replace(TINY_SPEC, layout=Layout.NHWC)
    uint8 = OnnxClassifier(variants.uint8(tiny_model)).spec
    assert uint8 == replace(TINY_SPEC, dtype=PixelType.UINT8, value_range=(0.0, 255.0))
    assert OnnxClassifier(variants.float16(tiny_model)).spec.dtype is PixelType.FLOAT16


def test_scale_mean_and_std_are_the_users(tiny: TorchClassifier, images: Float32Array) -> None:
    """A graph that sums channels shows exactly what it was fed."""
    spec = ImageSpec(height=12, width=10, value_range=(0, 255), mean=(100, 110, 120), std=(50, 60, 70))
    answers = OnnxClassifier(_channel_means(12, 10), spec=spec).logits(images)
    mean, std = np.array(spec.mean), np.array(spec.std)
    np.testing.assert_allclose(answers, (images.mean(axis=(2, 3)) * 255 - mean) / std, atol=1e-4)
    assert tiny.spec.mean == ()


@pytest.mark.parametrize(("height", "width"), [(5, 9), (64, 48), (224, 224)])
def test_any_size(height: int, width: int) -> None:
    spec = ImageSpec(height=height, width=width)
    pixels = np.random.default_rng(0).random((3, 3, height, width), dtype=np.float32)
    answers = OnnxClassifier(_channel_means("height", "width"), spec=spec).logits(pixels)
    np.testing.assert_allclose(answers, pixels.mean(axis=(2, 3)), atol=1e-5)


def test_probabilities_are_detected_said_and_taken_in_log_space(
    tiny_model: bytes, tiny: TorchClassifier, images: Float32Array, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "isthmus"):
        classifier = OnnxClassifier(variants.probabilities(tiny_model))
    assert classifier.output_kind is OutputKind.PROBABILITIES
    assert "puts out probabilities" in caplog.text
    logits = tiny.logits(images)
    wanted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(classifier.logits(images), wanted, atol=1e-5)


def test_a_probability_of_zero_stays_finite() -> None:
    graph = _graph([helper.make_node("Softmax", ["scaled"], ["classes"], axis=1)], factor=1e4)
    black_and_red = np.zeros((2, 3, 4, 4), np.float32)
    black_and_red[1, 0] = 1
    answers = OnnxClassifier(graph).logits(black_and_red)
    assert np.isfinite(answers).all()
    assert answers[1].argmax() == 0
    assert answers[1].min() < -80


def test_an_output_with_trailing_ones_is_a_row_of_classes() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("GlobalAveragePool", ["images"], ["classes"])],
            "pooled",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 4, 4])],
            [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", 3, 1, 1])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    assert OnnxClassifier(model.SerializeToString()).logits(np.ones((2, 3, 4, 4), np.float32)).shape == (2, 3)


def test_large_batches_run_in_chunks(tiny_model: bytes, tiny: TorchClassifier) -> None:
    pixels = np.random.default_rng(2).random((23, *TINY_SPEC.shape), dtype=np.float32)
    classifier = OnnxClassifier(tiny_model, max_batch=5)
    np.testing.assert_allclose(classifier.logits(pixels), tiny.logits(pixels), atol=1e-5)


def test_it_says_what_runs_where(tiny_model: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_model)
    with caplog.at_level(logging.INFO, "isthmus"):
        classifier = OnnxClassifier(path, labels=["ant", "bee", "cat", "dog"], threads=1)
    assert isinstance(classifier, Classifier)
    assert classifier.labels == ("ant", "bee", "cat", "dog")
    assert classifier.description in caplog.text
    assert "tiny.onnx on " in classifier.description
    assert OnnxClassifier(path).labels == ("class_0", "class_1", "class_2", "class_3")


def test_serving_it_with_its_taps_loads_neither_torch_nor_onnx(
    tiny_model: bytes, images: Float32Array, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(add_taps(tiny_model, find_layers(tiny_model, images)))
    script = (
        "import sys, numpy; from detector.classifiers.onnx import OnnxClassifier;"
        f"c = OnnxClassifier({str(path)!r}); a = c.answers(numpy.ones((1, 3, 12, 10), numpy.float32));"
        "assert a.taps.shape == (1, c.tap_count) != (1, 0);"
        "print([m for m in ('torch', 'onnx', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def _channel_means(height: int | str, width: int | str) -> bytes:
    node = helper.make_node("ReduceMean", ["images"], ["classes"], axes=[2, 3], keepdims=0)
    return _model([node], height, width)


def _graph(last: list[onnx.NodeProto], factor: float) -> bytes:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "factor"], ["scaled"]),
        *last,
    ]
    return _model(nodes, 4, 4, numpy_helper.from_array(np.array(factor, np.float32), "factor"))


def _model(nodes: list[onnx.NodeProto], height: int | str, width: int | str, *initializers: onnx.TensorProto) -> bytes:
    graph = helper.make_graph(
        nodes,
        "channels",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, height, width])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", 3])],
        list(initializers),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
