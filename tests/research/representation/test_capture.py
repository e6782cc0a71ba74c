"""What is captured is what forward hooks and intermediate outputs give, in torch, in programs and in ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.export import export_onnx, write_classifier
from detector.classifiers.loading import load_classifier
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.options import SpecOptions
from detector.classifiers.torch import TorchClassifier
from detector.classifiers.torch_sources import load_exported
from detector.research.representation import capture as capture_module
from detector.research.representation import torch_layers
from detector.research.representation.capture import capture, path_names
from detector.research.representation.kinds import Maps
from detector.research.representation.onnx_layers import OnnxLayers
from detector.research.representation.torch_layers import TorchLayers
from detector.training.architectures import build_network

if TYPE_CHECKING:
    from pathlib import Path

GREY = (1, 8, 8)
RGB = (3, 16, 16)
RESNET = "resnet8-4"
RESMLP = "resmlp3-12"


def _classifier(name: str, shape: tuple[int, int, int], **spec: Any) -> TorchClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = build_network(name, shape, 10, mean=(0.4,) * shape[0], std=(0.3,) * shape[0])
        for buffer in module.buffers():  # statistics of batch norms that are not those of the start
            if buffer.is_floating_point() and buffer.ndim == 1:
                buffer.uniform_(0.5, 1.5)
    order = ChannelOrder.GRAY if shape[0] == 1 else ChannelOrder.RGB
    return TorchClassifier(module, ImageSpec(height=shape[1], width=shape[2], channel_order=order, **spec))


def _images(shape: tuple[int, int, int], count: int = 7) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).random((count, *shape), np.float32)


def _captured(network: TorchLayers | OnnxLayers, images: Any, maps: Maps = Maps.FLAT) -> dict[str, Any]:
    return dict(capture(network, images, maps=maps))


def test_a_residual_mlp_is_input_stem_blocks_logits_and_softmax() -> None:
    found = TorchLayers.of(_classifier(RESMLP, GREY))
    assert path_names(found) == (*("input", "stem", "block 1", "block 2", "block 3", "logits", "softmax"),)
    assert [layer.shape for layer in found.layers] == [(12,)] * 4


def test_a_residual_network_stops_at_the_activation_behind_each_sum_and_at_the_mean() -> None:
    found = TorchLayers.of(_classifier(RESNET, RGB))
    assert [layer.name for layer in found.layers] == ["stem", "block 1", "block 2", "block 3", "penultimate"]
    assert [layer.shape for layer in found.layers] == [(4, 16, 16), (4, 16, 16), (8, 8, 8), (16, 4, 4), (16,)]


def test_networks_without_blocks_have_numbered_layers() -> None:
    assert [layer.name for layer in TorchLayers.of(_classifier("mlp-12-9", GREY)).layers] == ["layer 1", "layer 2"]
    found = TorchLayers.of(_classifier("cnn-4-8-layernorm", GREY)).layers
    assert [(layer.name, layer.shape) for layer in found] == [
        ("layer 1", (4, 4, 4)),
        ("layer 2", (8, 4, 4)),
        ("layer 3", (8,)),
    ]


@pytest.mark.parametrize(("name", "shape"), [(RESMLP, GREY), (RESNET, RGB)])
def test_what_is_captured_is_what_forward_hooks_see(name: str, shape: tuple[int, int, int]) -> None:
    classifier, images = _classifier(name, shape), _images(shape)
    found = _captured(TorchLayers.of(classifier), images)
    seen: dict[str, Any] = {}
    modules = dict(classifier.module.named_children())
    for key, module in modules.items():
        module.register_forward_hook(lambda _m, _i, output, key=key: seen.__setitem__(key, output.detach().numpy()))
    with torch.no_grad():
        logits = classifier.module(torch.from_numpy(images)).numpy()
    kinds = {key: type(module).__name__ for key, module in modules.items()}
    hooked = [seen[key] for key, kind in kinds.items() if kind.startswith("Residual")]
    for number, values in enumerate(hooked, 1):
        np.testing.assert_allclose(found[f"block {number}"], values.reshape(len(images), -1), rtol=1e-5, atol=1e-6)
    if "penultimate" in found:
        np.testing.assert_allclose(found["penultimate"], list(seen.values())[-2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["softmax"].sum(axis=1), 1)
    np.testing.assert_array_equal(found["input"], images.reshape(len(images), -1))


@pytest.mark.parametrize(("name", "shape"), [(RESMLP, GREY), (RESNET, RGB), ("cnn-4-8", GREY)])
@pytest.mark.parametrize("maps", list(Maps))
def test_onnx_says_what_torch_says(name: str, shape: tuple[int, int, int], maps: Maps, tmp_path: Path) -> None:
    classifier, images = _classifier(name, shape), _images(shape)
    export_onnx(classifier, tmp_path / "net.onnx")
    loaded = load_classifier(tmp_path / "net.onnx")
    ours, theirs = TorchLayers.of(classifier), OnnxLayers(loaded.model, loaded.classifier)
    assert path_names(ours) == path_names(theirs)
    one, other = (_captured(network, images, maps) for network in (ours, theirs))
    for layer in one:
        np.testing.assert_allclose(one[layer], other[layer], rtol=1e-4, atol=1e-5, err_msg=layer)


def test_a_program_in_a_file_says_what_its_module_says(tmp_path: Path) -> None:
    classifier, images = _classifier(RESNET, RGB), _images(RGB)
    write_classifier(classifier, tmp_path, "net")
    program = load_exported(tmp_path / "net.pt2").classifier(SpecOptions())
    one, other = _captured(TorchLayers.of(classifier), images), _captured(TorchLayers.of(program), images)
    assert list(one) == list(other)
    for layer in one:
        np.testing.assert_allclose(one[layer], other[layer], rtol=1e-5, atol=1e-6, err_msg=layer)


def test_intermediate_outputs_of_a_graph_written_by_hand(tmp_path: Path) -> None:
    """A graph whose hidden layer is an output already, with a branch that nothing joins before the sum."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=size).astype(np.float32) for size in ((4, 6), (6, 3)))
    nodes = [
        helper.make_node("Flatten", ["images"], ["rows"]),
        helper.make_node("MatMul", ["rows", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "second"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size]) for name, size in (("logits", 3),)],
        [onnx.numpy_helper.from_array(value, name) for name, value in (("first", first), ("second", second))],
    )
    path = tmp_path / "hand.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    images = _images((1, 2, 2))
    found = _captured(OnnxLayers(path.read_bytes(), OnnxClassifier(path)), images)
    rows = images.reshape(len(images), -1)
    np.testing.assert_allclose(found["layer 1"], np.maximum(rows @ first, 0), rtol=1e-5)
    np.testing.assert_allclose(found["logits"], np.maximum(rows @ first, 0) @ second, rtol=1e-5)


def test_pooled_units_are_means_over_positions() -> None:
    network, images = TorchLayers.of(_classifier(RESNET, RGB)), _images(RGB)
    flat, pooled = (_captured(network, images, maps) for maps in (Maps.FLAT, Maps.POOLED))
    means = flat["block 2"].reshape(len(images), 8, -1).mean(axis=2)
    np.testing.assert_allclose(pooled["block 2"], means, rtol=1e-6)
    np.testing.assert_array_equal(pooled["input"], flat["input"])
    # The network's own mean over positions is the layer behind.
    np.testing.assert_allclose(pooled["block 3"], pooled["penultimate"], rtol=1e-5)


def test_batches_and_groups_of_layers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = TorchLayers.of(_classifier(RESNET, RGB)), _images(RGB, 10)
    whole = _captured(network, images)
    monkeypatch.setattr(torch_layers, "_BATCH", 3)
    monkeypatch.setattr(capture_module, "_TOGETHER", 1)  # every layer by itself
    parts = _captured(network, images)
    assert list(whole) == list(parts)
    for layer in whole:
        np.testing.assert_allclose(parts[layer], whole[layer], rtol=1e-5, atol=1e-6)


def test_other_weights_are_another_network_of_the_same_graph() -> None:
    first = _classifier(RESMLP, GREY)
    torch.manual_seed(2)
    other = TorchClassifier(build_network(RESMLP, GREY, 10, mean=(0.4,), std=(0.3,)), first.spec)
    weights = {name: value[None].numpy() for name, value in other.module.state_dict().items()}
    images = _images(GREY)
    moved = _captured(TorchLayers.of(first).with_weights(weights, 0), images)
    for layer, values in _captured(TorchLayers.of(other), images).items():
        np.testing.assert_allclose(moved[layer], values, rtol=1e-5, atol=1e-6)


def test_a_classifier_that_takes_one_image_at_a_time() -> None:
    classifier = _classifier(RESMLP, GREY)
    one = TorchClassifier(classifier.module, classifier.spec, fixed_batch=1)
    images = _images(GREY, 4)
    np.testing.assert_allclose(
        _captured(TorchLayers.of(one), images)["block 3"],
        _captured(TorchLayers.of(classifier), images)["block 3"],
        rtol=1e-5,
        atol=1e-6,
    )
