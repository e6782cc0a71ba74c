"""An upstream server that is not there, not ready, slow, full, or not to be believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from detector import read_bundle
from detector.classifiers.address import parse_address
from detector.detector import Detector
from detector.engine.choice import EngineChoice
from detector.errors import (
    BundleError,
    ClassifierError,
    ClassifierMismatchError,
    FusionError,
    SettingsError,
    UpstreamUnavailableError,
)
from service.access import Access
from service.loading import load_detector
from service.upstream import MAX_REPLY_BYTES, UpstreamEndpoint, UpstreamServer, connect, discover
from service.upstream_settings import UpstreamSettings
from tests.support.oip_server import OipServer
from tests.support.remote import digits_model, remote_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from isthmus.inference.v2 import inference_pb2 as oip

    Alter = Callable[[oip.ModelInferResponse], object]
    Tell = Callable[[oip.ModelMetadataResponse], object]

IMAGES = np.zeros((2, 1, 8, 8), np.float32)
NOBODY = "127.0.0.1:9"  # the discard port, on which nobody listens
TIMEOUT = 20.0


@pytest.fixture
def upstream(digits: EmbeddedDefault) -> Iterator[OipServer]:
    with OipServer(digits.classifier_file) as server:
        yield server


def _asked(target: str, *, timeout: float = TIMEOUT) -> Any:
    return UpstreamEndpoint(UpstreamServer(target, Access()), digits_model(target)).infer(IMAGES, timeout=timeout)


def _set(**fields: Any) -> Alter:
    def alter(response: oip.ModelInferResponse) -> None:
        for name, value in fields.items():
            if name == "shape":
                response.outputs[0].shape[:] = value
            elif name == "raw":
                response.raw_output_contents[:] = value
            else:
                setattr(response.outputs[0], name, value)

    return alter


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (_set(name="scores"), "outputs 'scores', where one 'logits' was asked for"),
        (_set(datatype="INT64"), "datatype 'INT64'"),
        (_set(datatype="BYTES" * 1000), "datatype 'BYTESBYTES"),
        (_set(shape=[3, 10]), "for 2 images has the shape \\[3, 10\\]"),
        (_set(shape=[20]), "shape \\[20\\]"),
        (_set(shape=[2, -10]), "shape \\[2, -10\\]"),
        (_set(shape=[2, 0], raw=[b""]), "shape \\[2, 0\\]"),
        (_set(shape=[2, 1 << 40]), "holds 20 numbers; its shape makes 2199023255552"),
        (_set(raw=[b"123"]), "3 bytes of FP32"),
        (_set(raw=[b""]), "holds 0 numbers"),
        (_set(raw=[]), "holds 0 numbers"),
        (_set(raw=[b"", b""]), "2 raw contents for 1 outputs"),
        (lambda response: response.outputs.add(name="logits"), "one 'logits' was asked for"),
        (lambda response: response.Clear(), "outputs none"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(upstream: OipServer, alter: Alter, complaint: str) -> None:
    upstream.alter = alter
    with pytest.raises(ClassifierError, match=complaint) as refusal:
        _asked(upstream.target)
    assert len(str(refusal.value)) < 1000


def test_nan_is_refused_by_who_asked(upstream: OipServer, digits_bundle: Path, tmp_path: Path) -> None:
    bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))

    def alter(response: oip.ModelInferResponse) -> None:
        raw = np.frombuffer(response.raw_output_contents[0], "<f4").copy()
        raw[-1] = np.nan
        response.raw_output_contents[0] = raw.tobytes()

    detector = load_detector(bundle, UpstreamSettings())
    upstream.alter = alter
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        detector.score(np.zeros((8, 8), np.uint8))


def test_an_answer_of_too_many_bytes_is_not_taken(upstream: OipServer) -> None:
    upstream.alter = _set(raw=[bytes(MAX_REPLY_BYTES + 1)])
    with pytest.raises(ClassifierError, match="RESOURCE_EXHAUSTED"):
        _asked(upstream.target)


TRANSIENT = [
    (grpc.StatusCode.UNAVAILABLE, "loading"),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "Exceeds maximum queue size"),
    (grpc.StatusCode.ABORTED, "try again"),
    (grpc.StatusCode.CANCELLED, "a proxy gave up"),
]
LASTING = [
    (grpc.StatusCode.INTERNAL, "out of memory"),
    (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input"),
    (grpc.StatusCode.UNAUTHENTICATED, "no token"),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)"),
]


@pytest.mark.parametrize(("code", "text"), TRANSIENT)
def test_what_may_pass_is_told_from(upstream: OipServer, code: grpc.StatusCode, text: str) -> None:
    upstream.failures.append((code, text))
    with pytest.raises(UpstreamUnavailableError, match=f"ModelInfer: {code.name}: {text}"):
        _asked(upstream.target)
    assert _asked(upstream.target).shape == (2, 10)


@pytest.mark.parametrize(("code", "text"), LASTING)
def test_what_does_not_pass(upstream: OipServer, code: grpc.StatusCode, text: str) -> None:
    upstream.failures.append((code, text))
    with pytest.raises(ClassifierError, match=f"ModelInfer: {code.name}"):
        _asked(upstream.target)


def test_a_batch_that_is_too_large_for_the_server_is_told_with_its_remedy(upstream: OipServer) -> None:
    upstream.failures.append(LASTING[-1])
    with pytest.raises(ClassifierError, match="upstream_batch"):
        _asked(upstream.target)


def test_a_slow_answer_is_not_waited_for(upstream: OipServer) -> None:
    upstream.delay = 5
    started = time.monotonic()
    with pytest.raises(UpstreamUnavailableError, match="DEADLINE_EXCEEDED"):
        _asked(upstream.target, timeout=0.3)
    assert time.monotonic() - started < 4


def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(UpstreamUnavailableError, match="UNAVAILABLE"):
        _asked(NOBODY)
    with pytest.raises(UpstreamUnavailableError, match="ServerReady: UNAVAILABLE"):
        discover(parse_address(f"grpc://{NOBODY}/digits"), Access(), timeout=TIMEOUT)


def test_a_model_that_is_not_ready_may_be_so_later(upstream: OipServer) -> None:
    upstream.ready = False
    with pytest.raises(UpstreamUnavailableError, match="'digits' is not ready"):
        connect(digits_model(upstream.target), Access(), timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "resnet"}, "NOT_FOUND: Request for unknown model: 'resnet'"),
        ({"input": "pixels"}, "has no input 'pixels'; it has images"),
        ({"output": "classes"}, "has no output 'classes'; it has logits"),
    ],
)
def test_a_bundle_of_another_model_is_refused(upstream: OipServer, changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(ClassifierError, match=complaint):
        connect(digits_model(upstream.target, **changes), Access(), timeout=TIMEOUT)


def _second(kind: str, **fields: Any) -> Tell:
    return lambda response: getattr(response, kind).add(**fields)


def _first(kind: str, **fields: Any) -> Tell:
    def tell(response: oip.ModelMetadataResponse) -> None:
        tensor = getattr(response, kind)[0]
        tensor.shape[:] = fields.pop("shape", tensor.shape)
        for name, value in fields.items():
            setattr(tensor, name, value)

    return tell


@pytest.mark.parametrize(
    ("tell", "query", "complaint"),
    [
        (_second("inputs", name="mask"), "", "which input is meant. images, mask; name it .* .input=NAME"),
        (_second("outputs", name="more", datatype="FP32", shape=[-1, 5]), "", "which output is meant. logits, more"),
        (_first("outputs", datatype="INT64"), "", "which output is meant. none"),
        (_first("inputs", datatype="BYTES"), "", "is BYTES; images are FP32, FP16, UINT8"),
        (lambda response: response.Clear(), "", "which input is meant. none"),
        (lambda _: None, "?output=other", "has no output 'other'; it has logits"),
        (lambda _: None, "?input=other", "has no input 'other'"),
        (_first("inputs", shape=[3, 1, 8, 8]), "?batch=4", "takes exactly 3 images at once, not 4"),
    ],
)
def test_what_the_metadata_leaves_open_is_asked_for(
    upstream: OipServer, tell: Tell, query: str, complaint: str
) -> None:
    upstream.tell = tell
    with pytest.raises(ClassifierError, match=complaint):
        discover(parse_address(f"grpc://{upstream.target}/digits{query}"), Access(), timeout=TIMEOUT)


def test_an_address_without_a_model_is_refused() -> None:
    with pytest.raises(ClassifierError, match="names no model"):
        discover(parse_address(f"grpc://{NOBODY}"), Access(), timeout=TIMEOUT)


def test_another_classifier_than_the_calibrated_one_is_refused_at_the_start(
    upstream: OipServer, digits_bundle: Path, tmp_path: Path
) -> None:
    bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))

    def alter(response: oip.ModelInferResponse) -> None:
        rows = np.frombuffer(response.raw_output_contents[0], "<f4").reshape(-1, 10)
        response.raw_output_contents[0] = np.ascontiguousarray(rows[:, ::-1]).tobytes()

    upstream.alter = alter
    with pytest.raises(ClassifierMismatchError, match="not the one this bundle was calibrated for"):
        load_detector(bundle, UpstreamSettings())


def test_the_fused_engine_can_not_run_what_is_not_there(digits_bundle: Path, tmp_path: Path) -> None:
    bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(NOBODY))
    with pytest.raises(FusionError, match="runs elsewhere"):
        load_detector(bundle, UpstreamSettings(), engine=EngineChoice.FUSED)
    with pytest.raises(BundleError, match=f"runs at grpc://{NOBODY}/digits"):
        Detector.load(bundle)
    with pytest.raises(FusionError, match="holds no graph"):
        _ = read_bundle(bundle).graph


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"upstream_target": "grpc://nowhere"}, "upstream_target: .*names host and port"),
        ({"upstream_target": "grpc://a:1/m?dtype=uint8"}, "upstream_target: dtype is settled at calibration"),
        ({"upstream_batch": 4}, "upstream_batch: the model takes exactly 3"),
    ],
)
def test_settings_that_do_not_fit_name_themselves(settings: dict[str, Any], complaint: str) -> None:
    model = digits_model(NOBODY, batch=3, fixed_batch=True)
    with pytest.raises(SettingsError, match=complaint):
        UpstreamSettings(**settings).applied_to(model)
