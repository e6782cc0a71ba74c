"""Graphs that can't be tapped, or taps that can't be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

from detector.classifiers.loading import load_classifier, tapped
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.outputs import TAPS_OUTPUT
from detector.classifiers.taps import Tap, add_taps, choose_taps, find_layers
from detector.errors import ClassifierError
from tests.support.graphs import INPUT, OUTPUT, chain, model, weights

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)


def _perceptron() -> bytes:
    nodes = [
        helper.make_node("Flatten", [INPUT], ["row"]),
        helper.make_node("MatMul", ["row", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w2"], [OUTPUT]),
    ]
    return model(nodes, {"w1": weights(192, 16), "w2": weights(16, 4)}, image=(3, 8, 8), classes=4)


def test_without_maps_there_is_nothing_to_tap_and_a_note_says_so(tmp_path: Path) -> None:
    (tmp_path / "mlp.onnx").write_bytes(_perceptron())
    loaded = load_classifier(tmp_path / "mlp.onnx", threads=1)
    assert find_layers(loaded.model, PIXELS) == ()
    found = tapped(loaded, threads=1)
    assert found.notes[-1] == "no hidden layer can be tapped: the scorer reads logits alone"
    assert found.classifier is loaded.classifier
    assert found.model == loaded.model
    assert found.untapped is None
    assert found.taps == ()
    assert found.classifier.tap_count == 0


def test_a_tap_that_puts_out_nan_is_refused_by_name() -> None:
    nodes = [
        helper.make_node("Conv", [INPUT, "w"], ["maps"]),
        helper.make_node("Sqrt", ["maps"], ["roots"]),  # of negative numbers too
        helper.make_node("IsNaN", ["roots"], ["broken"]),
        helper.make_node("Where", ["broken", "maps", "roots"], ["mended"]),
        helper.make_node("GlobalAveragePool", ["mended"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [OUTPUT]),
    ]
    graph = model(nodes, {"w": weights(4, 3, 1, 1)}, image=(3, 8, 8), classes=4)
    assert np.isfinite(OnnxClassifier(graph).logits(PIXELS)).all()
    with pytest.raises(ClassifierError, match="taps: put out NaN or infinite numbers"):
        OnnxClassifier(add_taps(graph, [Tap("roots", 4, 64)]))


def test_a_tap_of_no_tensor_is_refused() -> None:
    with pytest.raises(ClassifierError):
        OnnxClassifier(add_taps(chain([4, 5]), [Tap("nowhere", 4, 64)]))


def test_hidden_layers_that_can_not_be_measured_are_an_error_in_words() -> None:
    with pytest.raises(ClassifierError, match="hidden layers can't be read"):
        find_layers(chain([4, 5]), PIXELS[:, :2])


def test_an_output_of_the_same_name_that_is_no_matrix_is_no_taps() -> None:
    proto = onnx.load_from_string(chain([4, 5]))
    proto.graph.node.append(helper.make_node("Identity", ["conv_0"], [TAPS_OUTPUT]))
    proto.graph.output.append(onnx.helper.make_tensor_value_info(TAPS_OUTPUT, 1, ["batch", 4, 8, 8]))
    assert OnnxClassifier(proto.SerializeToString()).tap_count == 0


def test_a_classifier_that_is_tapped_already_is_tapped_once(tmp_path: Path) -> None:
    """A bundle's own classifier may be calibrated again."""
    graph = chain([4, 8, 16, 5])
    taps = choose_taps(find_layers(graph, PIXELS), 64)
    (tmp_path / "bundled.onnx").write_bytes(add_taps(graph, taps))
    again = tapped(load_classifier(tmp_path / "bundled.onnx", threads=1), threads=1)
    assert again.taps == taps
    wanted = OnnxClassifier(add_taps(graph, taps)).answers(PIXELS)
    found = again.classifier.answers(PIXELS)
    np.testing.assert_array_equal(found.taps, wanted.taps)
    np.testing.assert_array_equal(found.logits, wanted.logits)
    assert again.gradients().logits(PIXELS).shape == (4, 5)


def test_a_classifier_that_is_tapped_already_can_be_loaded_without(tmp_path: Path) -> None:
    graph = chain([4, 8, 16, 5])
    (tmp_path / "bundled.onnx").write_bytes(add_taps(graph, find_layers(graph, PIXELS)))
    loaded = load_classifier(tmp_path / "bundled.onnx", threads=1)
    assert loaded.classifier.tap_count == 0
    np.testing.assert_allclose(loaded.classifier.logits(PIXELS), OnnxClassifier(graph).logits(PIXELS), rtol=1e-5)


def test_outputs_without_a_stated_shape_can_be_tapped() -> None:
    proto = onnx.load_from_string(chain([4, 8, 5]))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    graph = bytes(proto.SerializeToString())
    answers = OnnxClassifier(add_taps(graph, find_layers(graph, PIXELS))).answers(PIXELS)
    assert answers.taps.shape == (4, 2 * (4 + 8 + 5))
