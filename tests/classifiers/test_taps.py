"""Hidden layers, found from the graph alone and put out beside the logits, against NumPy and slow twins."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper

from detector.classifiers.base import ChannelOrder
from detector.classifiers.loading import load_classifier, tapped
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.options import SpecOptions
from detector.classifiers.outputs import TAPS_OUTPUT, probe_images
from detector.classifiers.taps import MAX_CHANNELS, MAX_TAPS, Tap, add_taps, choose_taps, find_layers
from tests.support import variants
from tests.support.graphs import INPUT, OUTPUT, chain, model, weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

    Wrapping = tuple[Callable[[bytes], bytes], SpecOptions, float]

IMAGES = np.random.default_rng(0).random((5, 3, 8, 6), np.float32)
FIRST, SECOND, LAST = weights(5, 3, 1, 1, seed=1), weights(7, 5, 1, 1, seed=2), weights(7, 4, seed=3)
NAMED_STAGES = ("first", "halved", "second")


def _three_stages(batch: int | str = "batch") -> bytes:
    """Three stages: 5 channels of 8 x 6, the same halved, and 7 channels of 4 x 3."""
    nodes = [
        helper.make_node("Conv", [INPUT, "w1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["first"]),
        helper.make_node("MaxPool", ["first"], ["halved"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["halved", "w2"], ["c2"]),
        helper.make_node("Relu", ["c2"], ["second"]),
        helper.make_node("GlobalAveragePool", ["second"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["row"]),
        helper.make_node("MatMul", ["row", "w3"], [OUTPUT]),
    ]
    return model(nodes, {"w1": FIRST, "w2": SECOND, "w3": LAST}, image=(3, 8, 6), classes=4, batch=batch)


def _worked_out(images: Float32Array) -> dict[str, NDArray[np.float64]]:
    """The tensors of `_three_stages` by NumPy."""
    first = np.maximum(np.einsum("oi,nihw->nohw", FIRST[:, :, 0, 0].astype(float), images), 0)
    halved = first.reshape(len(images), 5, 4, 2, 3, 2).max(axis=(3, 5))
    second = np.maximum(np.einsum("oi,nihw->nohw", SECOND[:, :, 0, 0].astype(float), halved), 0)
    return {"first": first, "halved": halved, "second": second, OUTPUT: second.mean(axis=(2, 3)) @ LAST}


def _pooled(layers: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What taps are said to be: per layer every channel's mean, then every channel's standard deviation."""
    return np.concatenate([part for x in layers for part in (x.mean(axis=(2, 3)), x.std(axis=(2, 3)))], axis=1)


def test_taps_are_the_means_and_deviations_of_channels() -> None:
    taps = choose_taps(find_layers(_three_stages(), IMAGES), 8 * 6)
    assert taps == (Tap("first", 5, 48), Tap("halved", 5, 12), Tap("second", 7, 12))
    classifier = OnnxClassifier(add_taps(_three_stages(), taps))
    answers, wanted = classifier.answers(IMAGES), _worked_out(IMAGES)
    assert classifier.tap_count == 2 * (5 + 5 + 7) == answers.taps.shape[1]
    assert answers.taps.dtype == np.float32
    np.testing.assert_allclose(answers.taps, _pooled([wanted[name] for name in NAMED_STAGES]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answers.logits, wanted[OUTPUT], rtol=1e-4, atol=1e-5)


def test_every_layer_with_more_than_one_value_a_channel_is_found() -> None:
    assert [layer.tensor for layer in find_layers(_three_stages(), IMAGES)] == ["c1", "first", "halved", "c2", "second"]


@pytest.mark.parametrize("source", ["three stages", "tiny", "digits", "CIFAR-10"])
def test_the_tapped_graph_gives_the_same_logits(
    source: str, tiny_model: bytes, digits: EmbeddedDefault, request: pytest.FixtureRequest
) -> None:
    given = {"three stages": _three_stages(), "tiny": tiny_model, "digits": digits.classifier_file.read_bytes()}
    whole = given[source] if source in given else request.getfixturevalue("cifar_model")
    plain = OnnxClassifier(whole)
    spec, pixels = plain.spec, probe_images(plain.spec, 9, seed=3)
    taps = choose_taps(find_layers(whole, spec.encode(pixels)), spec.height * spec.width)
    assert len(taps) >= 2
    eyed = OnnxClassifier(add_taps(whole, taps))
    assert plain.tap_count == 0
    assert plain.answers(pixels).taps.shape == (9, 0)
    np.testing.assert_array_equal(eyed.logits(pixels), plain.logits(pixels))
    assert eyed.labels == plain.labels
    assert eyed.output_name == plain.output_name


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_graph_for_a_fixed_number_of_images_gives_the_same_taps(batch: int) -> None:
    fixed = _three_stages(batch)
    taps = choose_taps(find_layers(fixed, IMAGES[:batch]), 8 * 6)
    assert [tap.tensor for tap in taps] == list(NAMED_STAGES)
    answers = OnnxClassifier(add_taps(fixed, taps)).answers(IMAGES)  # five images: groups of 2 and 4 are filled up
    free = OnnxClassifier(add_taps(_three_stages(), taps)).answers(IMAGES)
    np.testing.assert_allclose(answers.taps, free.taps, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answers.logits, free.logits, rtol=1e-5, atol=1e-6)


def _bgr_nhwc(graph: bytes) -> bytes:
    return variants.bgr(variants.nhwc(graph))


WRAPPED: list[Wrapping] = [
    (variants.nhwc, SpecOptions(), 1e-5),
    (_bgr_nhwc, SpecOptions(channel_order=ChannelOrder.BGR), 1e-5),
    (variants.uint8, SpecOptions(), 1e-5),
    (variants.float16, SpecOptions(), 2e-2),
    (variants.probabilities, SpecOptions(), 1e-5),
    (lambda graph: variants.fixed_batch(variants.uint8(variants.nhwc(graph))), SpecOptions(), 1e-5),
]


@pytest.mark.parametrize("wrapping", WRAPPED, ids=range(len(WRAPPED)))
def test_however_a_classifier_wants_its_images_the_same_layers_are_tapped(
    wrapping: Wrapping, tiny_model: bytes, images: Float32Array, tmp_path: Path
) -> None:
    """What a graph does to its images before the first layer is only the image again."""
    wrap, options, tolerance = wrapping
    plain, wrapped = (
        _tapped(tiny_model, tmp_path / "plain.onnx"),
        _tapped(wrap(tiny_model), tmp_path / "w.onnx", options),
    )
    assert wrapped.taps == plain.taps
    found, wanted = wrapped.classifier.answers(images), plain.classifier.answers(images)
    np.testing.assert_allclose(found.taps, wanted.taps, atol=tolerance)


def _tapped(graph: bytes, path: Path, options: SpecOptions | None = None) -> Any:
    path.write_bytes(graph)
    return tapped(load_classifier(path, spec_options=options, threads=1), threads=1)


def test_taps_are_read_by_layer(tmp_path: Path) -> None:
    loaded = _tapped(_three_stages(), tmp_path / "known.onnx")
    assert [tap.tensor for tap in loaded.taps] == list(NAMED_STAGES)
    assert loaded.notes[-1] == "3 hidden layers are tapped: first, halved, second"
    assert loaded.untapped == _three_stages()
    wanted = _worked_out(IMAGES)
    hidden = loaded.hidden(IMAGES)
    assert len(hidden) == 3
    for name, found in zip(NAMED_STAGES, hidden, strict=True):
        np.testing.assert_allclose(found, wanted[name].mean(axis=(2, 3)), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_untapped_graph(tiny_model: bytes, tiny: TorchClassifier, tmp_path: Path) -> None:
    loaded = _tapped(tiny_model, tmp_path / "tiny.onnx")
    assert loaded.classifier.tap_count > 0
    pixels = probe_images(tiny.spec, 3)
    gradients = loaded.gradients()
    np.testing.assert_allclose(gradients.logits(pixels), tiny.logits(pixels), atol=1e-4)
    assert gradients.tap_count == gradients.answers(pixels).taps.shape[1] == 0


def _residual() -> bytes:
    """A stem, two residual blocks of two convolutions, and a head that works out its own shape."""
    nodes = [helper.make_node("Conv", [INPUT, "stem_w"], ["stem"])]
    constants: dict[str, NDArray[Any]] = {
        "stem_w": weights(4, 3, 1, 1),
        "last": np.array([-1], np.int64),
        "zero": np.array([0], np.int64),
    }
    before = "stem"
    for block in range(2):
        inner = [f"block{block}_{part}" for part in ("conv", "relu", "second", "sum", "out")]
        constants |= {f"w{block}_{i}": weights(4, 4, 1, 1, seed=2 * block + i) for i in range(2)}
        nodes += [
            helper.make_node("Conv", [before, f"w{block}_0"], [inner[0]]),
            helper.make_node("Relu", [inner[0]], [inner[1]]),
            helper.make_node("Conv", [inner[1], f"w{block}_1"], [inner[2]]),
            helper.make_node("Add", [inner[2], before], [inner[3]]),
            helper.make_node("Relu", [inner[3]], [inner[4]]),
        ]
        before = inner[4]
    nodes += [
        helper.make_node("Shape", [INPUT], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"]),
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Concat", ["rows", "last"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["pooled", "wanted"], [OUTPUT]),
    ]
    return model(nodes, constants, image=(3, 8, 6), classes=4)


def test_within_a_residual_block_no_layer_holds_everything() -> None:
    found = [layer.tensor for layer in find_layers(_residual(), IMAGES)]
    assert found == ["stem", "block0_sum", "block0_out", "block1_sum", "block1_out"]


def _random_graph(seed: int) -> tuple[bytes, dict[str, list[str]]]:
    """A convolution, then layers that each add up one to three earlier ones; and which read which."""
    rng = np.random.default_rng(seed)
    names, sources = ["layer0"], {"layer0": [INPUT]}
    nodes = [helper.make_node("Conv", [INPUT, "w"], ["layer0"])]
    for i in range(1, 12):
        # Mostly recent ones, so that some layers are the only way through.
        chosen = sorted({names[max(0, i - 1 - int(rng.geometric(0.6) - 1))] for _ in range(rng.integers(1, 4))})
        names.append(f"layer{i}")
        sources[names[-1]] = chosen
        nodes.append(helper.make_node("Sum", chosen, [names[-1]]))
    sources["pooled"] = [names[-1]]
    nodes += [
        helper.make_node("GlobalAveragePool", [names[-1]], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [OUTPUT]),
    ]
    needed = _reached("pooled", sources, without="")
    kept = [node for node in nodes if node.output[0] in needed | {OUTPUT}]
    return model(kept, {"w": weights(4, 3, 1, 1)}, image=(3, 8, 6), classes=4), sources


def _reached(name: str, sources: dict[str, list[str]], *, without: str) -> set[str]:
    """All that a tensor is worked out from, itself included, when one other tensor is taken away."""
    if name == without:
        return set()
    return {name}.union(*(_reached(source, sources, without=without) for source in sources.get(name, [])))


@pytest.mark.parametrize("seed", range(12))
def test_the_layers_found_are_those_without_which_nothing_arrives(seed: int) -> None:
    """The slow twin: take a layer away, and see whether the classes still depend on the images."""
    graph, sources = _random_graph(seed)
    needed = _reached("pooled", sources, without="") - {INPUT, "pooled"}
    only_ways = {name for name in needed if INPUT not in _reached("pooled", sources, without=name)}
    assert {layer.tensor for layer in find_layers(graph, IMAGES)} == only_ways
    assert {"layer0", "layer11"} <= only_ways


def test_random_graphs_have_layers_of_both_kinds() -> None:
    counts = []
    for seed in range(12):
        graph, _ = _random_graph(seed)
        counts.append((len(find_layers(graph, IMAGES)), len(onnx.load_from_string(graph).graph.node) - 2))
    assert any(2 < found < layers for found, layers in counts)


def test_most_layers_and_most_channels() -> None:
    widths = [4 + i for i in range(9)] + [MAX_CHANNELS + 1]
    pixels = np.random.default_rng(1).random((2, 3, 8, 8), np.float32)
    layers = find_layers(chain(widths), pixels)
    assert [layer.channels for layer in layers] == widths
    taps = choose_taps(layers, 64)
    depths = [layers.index(tap) for tap in taps]
    assert len(taps) == MAX_TAPS
    assert depths == sorted(set(depths))
    assert depths[-1] == len(layers) - 1
    assert max(b - a for a, b in itertools.pairwise(depths)) <= 2
    answers = OnnxClassifier(add_taps(chain(widths), taps)).answers(pixels)
    # Everything is linear and classes are the channels' means, so the last tap's means are every second logit.
    means = answers.taps[:, -2 * len(taps[-1].read) : -len(taps[-1].read)]
    assert len(taps[-1].read) <= MAX_CHANNELS
    np.testing.assert_allclose(means, answers.logits[:, ::2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 4, MAX_CHANNELS, MAX_CHANNELS + 1, 2 * MAX_CHANNELS, 2048, 100_003])
def test_channels_are_read_evenly_and_not_too_many(channels: int) -> None:
    read = Tap("layer", channels, 4).read
    assert read[0] == 0
    assert read[-1] < channels <= read[-1] + read.step
    assert min(channels, MAX_CHANNELS / 2) <= len(read) <= min(channels, MAX_CHANNELS)


def _layers(*shapes: tuple[int, int]) -> list[Tap]:
    return [Tap(f"layer{i}", channels, size) for i, (channels, size) in enumerate(shapes)]


CHOICES = [
    # The image itself, grey and RGB, is no layer; maps of its size with more channels are.
    ([(3, 64), (1, 64), (8, 64), (16, 16), (16, 16), (32, 4)], [2, 4, 5]),
    # A network without stages: four evenly spaced.
    ([(32, 49)] * 12, [2, 5, 8, 11]),
    ([(32, 49)] * 3, [0, 1, 2]),
    # Two stages are few: all layers count.
    ([(8, 64)] * 4 + [(16, 16)] * 4, [1, 3, 5, 7]),
    # A shape that comes again is another stage.
    ([(8, 64), (16, 16), (8, 64)], [0, 1, 2]),
    ([(8 * i, 64) for i in range(1, 13)], [1, 3, 5, 7, 9, 11]),
    ([], []),
    ([(3, 64)], []),
]


@pytest.mark.parametrize(("shapes", "chosen"), CHOICES, ids=range(len(CHOICES)))
def test_the_last_layer_of_every_stage_is_chosen(shapes: list[tuple[int, int]], chosen: list[int]) -> None:
    layers = _layers(*shapes)
    assert choose_taps(layers, 64) == tuple(layers[i] for i in chosen)


def test_tokens_are_pooled_over_tokens() -> None:
    """Patches of 2 x 2 pixels as tokens, (N, 12, 6), added up two by two before the classes."""
    nodes = [
        helper.make_node("Conv", [INPUT, "patch"], ["maps"], strides=[2, 2]),
        helper.make_node("Reshape", ["maps", "flat"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Tanh", ["tokens"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], [OUTPUT], axes=[1], keepdims=0),
    ]
    patch = weights(6, 3, 2, 2)
    graph = model(nodes, {"patch": patch, "flat": np.array([0, 6, 12], np.int64)}, image=(3, 8, 6), classes=6)
    last = find_layers(graph, IMAGES)[-1]
    assert last == Tap("mixed", 6, 12, tokens=True)
    answers = OnnxClassifier(add_taps(graph, [last])).answers(IMAGES)
    patches = IMAGES.reshape(5, 3, 4, 2, 3, 2)
    tokens = np.tanh(np.einsum("ocij,nchiwj->nhwo", patch.astype(float), patches)).reshape(5, 12, 6)
    wanted = np.concatenate([tokens.mean(axis=1), tokens.std(axis=1)], axis=1)
    np.testing.assert_allclose(answers.taps, wanted, rtol=1e-4, atol=1e-5)


def test_taps_are_never_taken_for_classes() -> None:
    eyed = add_taps(_three_stages(), choose_taps(find_layers(_three_stages(), IMAGES), 48))
    assert [entry.name for entry in onnx.load_from_string(eyed).graph.output] == [OUTPUT, TAPS_OUTPUT]
    assert OnnxClassifier(eyed).output_name == OUTPUT
