"""Strata of difficulty in the graph: the p-values of the plain code, to the last bit, at the edges too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from detector.classifiers.base import ImageSpec
from detector.classifiers.session import open_session
from detector.conformal import ConformalCalibration
from detector.engine.fused import FusedEngine
from detector.engine.fusing.difficulty import write_stratum
from detector.engine.fusing.fuse import fuse
from detector.engine.fusing.reading import Judged, write_p_values
from detector.engine.fusing.writer import GraphWriter, Port
from detector.engine.reference import ReferenceEngine
from detector.profiles import PathKind, PathPlan, PathTarget
from detector.strata import Proxy, Strata, difficulty_of
from tests.support.graphs import chain
from tests.support.wrapped import noise, wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array

CLASSES = 5
RGB = ImageSpec(height=8, width=8)
PLAN = PathPlan((PathTarget(PathKind.PROTOTYPE, 0), PathTarget(PathKind.BLUR)), (0.3, 0.8))


def _calibration(strata: Strata, logits: Float32Array, *, prior: float = 20, seed: int = 0) -> ConformalCalibration:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.exponential(size=len(logits)), 2).astype(np.float32)  # with ties
    return ConformalCalibration.of(scores, logits, strata, prior)


def _logits(count: int, *, seed: int, scale: float = 3) -> Float32Array:
    return (np.random.default_rng(seed).normal(size=(count, CLASSES)) * scale).astype(np.float32)


def _strata(proxy: Proxy, logits: Float32Array, count: int) -> Strata:
    """Edges at images, where rounding would tell."""
    values = np.unique(difficulty_of(logits, proxy))
    return Strata(tuple(values[[len(values) * n // count for n in range(1, count)]].tolist()), proxy)


def _graph(calibration: ConformalCalibration) -> Any:
    """From float32 (N, classes + 1), logits and then the score, to p-values."""
    w = GraphWriter(18)
    logits, scores = w.take("rows", list(range(CLASSES)), axis=1), w.reshape(w.take("rows", [CLASSES], axis=1), -1)
    predicted = w.op("ArgMax", logits, axis=1, keepdims=0)
    own = w.op("Equal", w.unsqueeze(predicted, 1), w.constant(np.arange(CLASSES)[None]))
    stratum = write_stratum(w, calibration.strata, logits, own)
    found = write_p_values(w, calibration, Judged(scores, predicted, stratum), CLASSES)
    rows, p_values = Port("rows", TensorProto.FLOAT, (CLASSES + 1,)), Port(found, TensorProto.DOUBLE, ())
    model = w.model(rows, {"p_value": p_values}, [helper.make_opsetid("", 18)], ir_version=8)
    return open_session(model.SerializeToString(), threads=1).runtime


def _both(
    calibration: ConformalCalibration, logits: Float32Array, scores: Float32Array
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (graph,) = _graph(calibration).run(None, {"rows": np.column_stack([logits, scores]).astype(np.float32)})
    difficulty = calibration.strata.difficulty(logits)
    return graph, calibration.p_values(scores, logits.argmax(axis=1), difficulty)


@pytest.mark.parametrize("proxy", Proxy)
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("scale", [0.5, 3, 20])
def test_the_graph_gives_the_same_p_values(proxy: Proxy, count: int, scale: float) -> None:
    known = _logits(400, seed=1, scale=scale)
    calibration = _calibration(_strata(proxy, known, count), known)
    graph, plain = _both(calibration, _logits(3000, seed=2, scale=scale), calibration.scores[np.arange(3000) % 400])
    np.testing.assert_array_equal(graph, plain)


@pytest.mark.parametrize("proxy", Proxy)
def test_images_at_an_edge_are_in_the_same_stratum(proxy: Proxy) -> None:
    known = _logits(400, seed=1)
    strata = _strata(proxy, known, 40)
    at_edges = np.isin(difficulty_of(known, proxy), np.array(strata.edges, np.float32))
    assert at_edges.sum() >= 39
    calibration = _calibration(strata, known)
    graph, plain = _both(calibration, known[at_edges], calibration.scores[at_edges])
    np.testing.assert_array_equal(graph, plain)


@pytest.mark.parametrize("proxy", Proxy)
def test_ties_and_certainty_are_no_exception(proxy: Proxy) -> None:
    known = _logits(400, seed=1)
    calibration = _calibration(_strata(proxy, known, 4), known)
    logits = np.zeros((4, CLASSES), np.float32)
    logits[1, 2:4] = 5
    logits[2, 1] = 300  # beside it no other class has any probability
    logits[3] = np.log(np.finfo(np.float32).tiny)  # as of a classifier that puts out probabilities
    logits[3, 0] = 0
    graph, plain = _both(calibration, logits, np.ones(4, np.float32))
    np.testing.assert_array_equal(graph, plain)


def test_a_class_without_images_in_a_stratum_has_the_strata_own_pool() -> None:
    known = _logits(400, seed=1)
    strata = _strata(Proxy.MARGIN, known, 2)
    hard = strata.numbers(strata.difficulty(known)) == 1
    kept = known[~hard | (known.argmax(axis=1) == 0)]
    for prior in (0.0, 50.0):
        calibration = _calibration(strata, kept, prior=prior)
        assert (calibration.counts(CLASSES)[1] > 0).tolist() == [True, *[False] * (CLASSES - 1)]
        graph, plain = _both(calibration, known, np.linspace(0, 4, 400, dtype=np.float32))
        np.testing.assert_array_equal(graph, plain)


def _stratified(proxy: Proxy) -> tuple[Bundle, Any]:
    bundle, classifier = wrapped(chain([6, 5]), RGB, PLAN)
    images = noise(300, RGB, seed=7)
    engine = ReferenceEngine(bundle, classifier)
    found = engine.evidence(images)
    calibration = ConformalCalibration.of(
        found.scores, found.profile.image_logits, _strata(proxy, found.profile.image_logits, 4), 20
    )
    return replace(bundle, parts=replace(bundle.parts, calibration=calibration)), classifier


@pytest.mark.parametrize("proxy", Proxy)
def test_both_engines_agree_on_images(proxy: Proxy) -> None:
    bundle, classifier = _stratified(proxy)
    images = noise(60, RGB, seed=8)
    fused, plain = FusedEngine(bundle, threads=1).evidence(images), ReferenceEngine(bundle, classifier).evidence(images)
    np.testing.assert_array_equal(fused.profile.predicted, plain.profile.predicted)
    np.testing.assert_allclose(fused.scores, plain.scores, rtol=1e-4, atol=1e-4)
    # A score may round to the other side of a calibration score.
    np.testing.assert_allclose(fused.p_values, plain.p_values, atol=0.03)
    np.testing.assert_array_equal(fused.strata, plain.strata)
    assert len(np.unique(plain.strata)) == 4


def test_the_exported_graph_judges_by_strata_in_a_bare_runtime() -> None:
    bundle, classifier = _stratified(Proxy.MARGIN)
    images = noise(60, RGB, seed=8)
    wanted = ReferenceEngine(bundle, classifier).evidence(images)
    found, strata = open_session(fuse(bundle), threads=1).runtime.run(["p_value", "stratum"], {"images": images})
    np.testing.assert_allclose(found, wanted.p_values, atol=0.03)
    np.testing.assert_array_equal(strata, wanted.strata)
    calibration = bundle.parts.calibration
    undivided = ConformalCalibration(calibration.scores, calibration.classes, calibration.prior_strength)
    assert np.abs(undivided.p_values(wanted.scores, wanted.profile.predicted) - wanted.p_values).max() > 0.1


def test_of_one_stratum_every_image_is_in_it() -> None:
    bundle, classifier = wrapped(chain([6, 5]), RGB, PLAN)
    images = noise(3, RGB, seed=8)
    for engine in (FusedEngine(bundle, threads=1), ReferenceEngine(bundle, classifier)):
        assert engine.evidence(images).strata.tolist() == [0, 0, 0]
