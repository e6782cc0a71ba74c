"""The fused engine is the reference engine: two independent ways to the same evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, PixelType
from detector.classifiers.loading import load_classifier, tapped
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.session import open_session
from detector.classifiers.taps import add_taps, choose_taps, find_layers
from detector.embedded import SPEC
from detector.engine.fused import FusedEngine
from detector.engine.fusing.fuse import fuse
from detector.engine.fusing.pixels import PixelForm
from detector.engine.reference import ReferenceEngine
from detector.images import to_canonical, to_pixels
from detector.profiles import PathKind, PathPlan, PathTarget, View
from tests.support import variants
from tests.support.graphs import chain
from tests.support.guards import PLAIN, RESIDUAL, TAPPED, VIEWED, WHOLE, guarded
from tests.support.wrapped import noise, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier
    from detector.embedded import EmbeddedDefault
    from detector.engine.base import Evidence

RGB = ImageSpec(height=8, width=8)
PLAN = PathPlan(
    (PathTarget(PathKind.PROTOTYPE, 1), PathTarget(PathKind.RUNNER_UP_PROTOTYPE), PathTarget(PathKind.BLUR)),
    (0.2, 0.7),
    views=(View.SHIFT, View.MIRROR),
    residuals=True,
)


def _assert_same(fused: Evidence, plain: Evidence, *, scores: float = 1e-4) -> None:
    np.testing.assert_array_equal(fused.profile.predicted, plain.profile.predicted)
    assert fused.profile.plan == plain.profile.plan
    for name in ("logits", "taps", "views", "residuals"):
        one, other = getattr(fused.profile, name), getattr(plain.profile, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert fused.scores.dtype == np.float32
    np.testing.assert_allclose(fused.scores, plain.scores, rtol=scores, atol=scores)
    assert fused.p_values.dtype == np.float64
    # A score may round to the other side of a calibration score.
    np.testing.assert_allclose(fused.p_values, plain.p_values, atol=0.03)
    np.testing.assert_allclose(fused.barriers.heights, plain.barriers.heights, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(fused.barriers.gaps, plain.barriers.gaps, rtol=1e-4, atol=1e-4)


def _engines(bundle: Bundle, classifier: Classifier) -> tuple[FusedEngine, ReferenceEngine]:
    return FusedEngine(bundle, threads=1), ReferenceEngine(bundle, classifier)


def _assert_same_on_noise(bundle: Bundle, classifier: Classifier, *, images: int) -> None:
    fused, plain = _engines(bundle, classifier)
    pixels = noise(images, bundle.manifest.spec, seed=2)
    _assert_same(fused.evidence(pixels), plain.evidence(pixels))


@pytest.mark.parametrize(
    "plan", [PLAIN, VIEWED, RESIDUAL, TAPPED, WHOLE], ids=["plain", "views", "residuals", "taps", "whole"]
)
@pytest.mark.parametrize("supervised", [False, True], ids=["one-class", "supervised"])
def test_it_finds_on_digits_and_on_noise_what_the_reference_finds(
    digits: EmbeddedDefault, digits_bundle: Path, plan: PathPlan, *, supervised: bool
) -> None:
    detector = guarded(digits, digits_bundle, plan, supervised=supervised)
    fused, plain = _engines(detector.bundle, detector.classifier)
    for images in (to_canonical(digits.test.pixels, SPEC.shape), noise(50, SPEC)):
        _assert_same(fused.evidence(images), plain.evidence(images))


NORMALISED = replace(RGB, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1), value_range=(-1.0, 1.0))
CONVENTIONS: dict[str, tuple[Callable[[bytes], bytes], ImageSpec]] = {
    "RGB": (lambda model: model, RGB),
    "normalised": (lambda model: model, NORMALISED),
    "NHWC": (variants.nhwc, replace(RGB, layout=Layout.NHWC)),
    "BGR": (variants.bgr, replace(RGB, channel_order=ChannelOrder.BGR)),
    "uint8": (variants.uint8, replace(RGB, dtype=PixelType.UINT8, value_range=(0.0, 255.0))),
    "float16": (variants.float16, replace(RGB, dtype=PixelType.FLOAT16)),
    "probabilities": (variants.probabilities, RGB),
    "all of them": (
        lambda model: variants.probabilities(variants.uint8(variants.bgr(variants.nhwc(model)))),
        replace(
            RGB,
            layout=Layout.NHWC,
            channel_order=ChannelOrder.BGR,
            dtype=PixelType.UINT8,
            value_range=(0.0, 255.0),
        ),
    ),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_whatever_a_classifier_wants_its_images_like(convention: str) -> None:
    change, spec = CONVENTIONS[convention]
    bundle, classifier = wrapped(change(chain([6, 5])), spec, PLAN)
    _assert_same_on_noise(bundle, classifier, images=30)


def test_images_that_are_no_squares() -> None:
    spec = ImageSpec(height=12, width=70)
    proto = onnx.load_from_string(chain([6, 5]))
    for axis in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = (12, 70)[axis - 2]
    bundle, classifier = wrapped(proto.SerializeToString(), spec, PLAN)
    _assert_same_on_noise(bundle, classifier, images=9)


@pytest.mark.parametrize("opset", [11, 13, 16, 17, 18, 21])
def test_graphs_of_every_age(opset: int) -> None:
    proto = onnx.load_from_string(chain([6, 5]))
    proto.opset_import[0].version = opset
    bundle, classifier = wrapped(proto.SerializeToString(), RGB, PLAN)
    _assert_same_on_noise(bundle, classifier, images=12)


def test_a_plan_without_prototypes_has_no_barriers() -> None:
    plan = PathPlan((PathTarget(PathKind.BLUR),), (0.5,))
    bundle, classifier = wrapped(chain([5]), RGB, plan)
    fused, plain = _engines(bundle, classifier)
    images = noise(5, RGB)
    _assert_same(fused.evidence(images), plain.evidence(images))
    assert np.isnan(fused.evidence(images).barriers.heights).all()


def test_classes_that_were_never_calibrated_get_the_pooled_p_value() -> None:
    bundle, classifier = wrapped(chain([9]), RGB, PLAN)
    calibration = bundle.parts.calibration
    kept = calibration.classes == np.bincount(calibration.classes).argmax()
    few = replace(calibration, scores=calibration.scores[kept], classes=calibration.classes[kept])
    for prior in (100.0, 0.0):
        parts = replace(bundle.parts, calibration=replace(few, prior_strength=prior))
        fused, plain = _engines(replace(bundle, parts=parts), classifier)
        images = noise(60, RGB, seed=5)
        found = fused.evidence(images)
        assert len(np.unique(found.profile.predicted)) > 1
        _assert_same(found, plain.evidence(images))


def test_equal_logits_are_decided_alike() -> None:
    """Two classes always tie, so the predicted and the runner-up class hang on who comes first."""
    model = onnx.load_from_string(chain([4]))
    kernel = numpy_helper.to_array(model.graph.initializer[0]).copy()
    kernel[2] = kernel[1] = 10
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, model.graph.initializer[0].name))
    bundle, classifier = wrapped(model.SerializeToString(), RGB, PLAN)
    fused, plain = _engines(bundle, classifier)
    images = noise(20, RGB, seed=2)
    assert set(fused.evidence(images).profile.predicted) == {1}
    # Features that never vary but by rounding weigh in a scorer as much as any.
    _assert_same(fused.evidence(images), plain.evidence(images), scores=1e-2)


def test_constants_in_nodes_and_graphs_within_graphs() -> None:
    """The classifier's graph has an If whose branches read tensors from outside, and weights in a Constant node."""
    model = onnx.load_from_string(chain([6, 5]))
    weight = model.graph.initializer.pop()
    inside = helper.make_graph(
        [helper.make_node("Mul", ["pooled_raw", "two"], ["doubled"])],
        "then",
        [],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(2, np.float32), "two")],
    )
    outside = helper.make_graph(
        [helper.make_node("Identity", ["pooled_raw"], ["same"])],
        "else",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    nodes = list(model.graph.node)
    pool = next(node for node in nodes if node.op_type == "GlobalAveragePool")
    pool.output[0] = "pooled_raw"
    always = helper.make_node("Constant", [], ["always"], value=numpy_helper.from_array(np.array(True), "always"))
    chosen = helper.make_node("If", ["always"], ["pooled"], then_branch=inside, else_branch=outside)
    kernel = helper.make_node("Constant", [], [weight.name], value=weight)
    at = nodes.index(pool) + 1
    del model.graph.node[:]
    model.graph.node.extend([kernel, always, *nodes[:at], chosen, *nodes[at:]])
    bundle, classifier = wrapped(model.SerializeToString(), RGB, PLAN)
    _assert_same_on_noise(bundle, classifier, images=12)


def test_names_in_the_classifier_that_the_scorer_uses_too() -> None:
    model = onnx.load_from_string(chain([6, 5]))
    for node in model.graph.node:
        node.input[:] = ["mean" if name == "weight_0" else name for name in node.input]
        node.input[:] = ["features" if name == "conv_0" else name for name in node.input]
        node.output[:] = ["features" if name == "conv_0" else name for name in node.output]
    model.graph.initializer[0].name = "mean"
    bundle, classifier = wrapped(model.SerializeToString(), RGB, PLAN)
    _assert_same_on_noise(bundle, classifier, images=12)


def _bare(model: bytes, images: Any) -> dict[str, Any]:
    session = open_session(model, threads=1).runtime
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("dtype", [PixelType.UINT8, PixelType.FLOAT32])
def test_the_graph_takes_pixels_as_callers_have_them(layout: Layout, dtype: PixelType) -> None:
    bundle, classifier = wrapped(chain([6, 5]), RGB, PLAN)
    pixels = to_pixels(noise(7, RGB, seed=4))
    wanted = ReferenceEngine(bundle, classifier).evidence(to_canonical(pixels, RGB.shape))
    images: Any = pixels if dtype is PixelType.UINT8 else pixels.astype(np.float32) / np.float32(255)
    if layout is Layout.NCHW:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    found = _bare(fuse(bundle, form=PixelForm(dtype, layout)), images)
    assert list(found) == ["logits", "score", "p_value", "verdict", "barrier_height", "barrier_gap", "stratum"]
    np.testing.assert_allclose(found["logits"], wanted.profile.image_logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["score"], wanted.scores, rtol=1e-4, atol=1e-4)
    rates = bundle.manifest.rates
    levels = (found["p_value"] <= rates.suspect).astype(int) + (found["p_value"] <= rates.adversarial)
    np.testing.assert_array_equal(found["verdict"], levels)


def test_weights_are_stored_once_and_nothing_is_left_over(digits: EmbeddedDefault, digits_bundle: Path) -> None:
    detector = guarded(digits, digits_bundle, TAPPED)
    parts = detector.bundle.parts
    model = fuse(detector.bundle, profile=True)
    apart = len(detector.bundle.graph) + len(parts.scorer) + parts.prototypes.images.nbytes
    # Calibration scores stand there twice: all of them, and by class, where each class has as many as the largest.
    scores = parts.calibration.scores.nbytes
    assert apart < len(model) < apart + 4 * scores + 40_000
    graph = onnx.load_from_string(model).graph
    read = {name for node in graph.node for name in node.input}
    assert {entry.name for entry in graph.initializer} <= read
    kept = {name for node in graph.node for name in node.output}
    assert kept <= read | {entry.name for entry in graph.output}
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)


@pytest.mark.parametrize("views", [PLAN.views, ()], ids=["views", "no views"])
@pytest.mark.parametrize(
    ("paths", "pooling"), [((), 0), ((0,), 2), ((1,), 2), ((2,), 1), ((0, 2), 2), ((0, 1, 2), 2)], ids=str
)
def test_layers_are_pooled_where_paths_are_tapped(
    paths: tuple[int, ...], pooling: int, views: tuple[View, ...]
) -> None:
    """Of the classifier's copies those of tapped points alone pool: the image's, and that of tapped prototypes."""
    model = chain([6, 7, 5])
    taps = choose_taps(find_layers(model, RGB.encode(noise(2, RGB))), 64)
    plan = replace(PLAN, tapped=paths, views=views)
    bundle, classifier = wrapped(add_taps(model, taps), RGB, plan)
    _assert_same_on_noise(bundle, classifier, images=6)
    pooled = [node for node in onnx.load_from_string(fuse(bundle)).graph.node if "isthmus_tap" in node.output[0]]
    assert len([node for node in pooled if node.op_type == "Sqrt"]) == pooling * len(taps)
    assert bool(pooled) == bool(paths)


def test_one_image_is_answered_as_in_a_batch(digits: EmbeddedDefault, digits_bundle: Path) -> None:
    fused = FusedEngine(guarded(digits, digits_bundle, WHOLE).bundle, threads=1)
    images = to_canonical(digits.test.pixels, SPEC.shape)[:33]
    together = fused.evidence(images)
    for row in range(0, 33, 8):
        alone = fused.evidence(images[row : row + 1])
        np.testing.assert_allclose(alone.scores, together.scores[row : row + 1], rtol=1e-4, atol=1e-4)


def test_a_real_classifier_with_taps(digits: EmbeddedDefault) -> None:
    loaded = tapped(load_classifier(digits.classifier_file, threads=1), threads=1)
    assert isinstance(loaded.classifier, OnnxClassifier)
    plan = replace(PLAN, tapped=(0, 2))
    bundle, classifier = wrapped(loaded.model, loaded.classifier.spec, plan)
    _assert_same_on_noise(bundle, classifier, images=20)
