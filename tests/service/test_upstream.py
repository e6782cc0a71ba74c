"""The client of the Open Inference Protocol, against real servers: one around ONNX Runtime, and this project's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import trustme

from detector import Detector
from detector.bundle import write_bundle
from detector.classifiers.address import parse_address
from detector.classifiers.base import Layout, PixelType
from detector.classifiers.remote_loading import load_remote
from detector.cli.demo_server import ServerProcess
from detector.errors import ClassifierError, UpstreamUnavailableError
from detector.profiles import View
from service.access import Access
from service.loading import load_detector
from service.upstream import DEFAULT_BATCH, UpstreamEndpoint, UpstreamServer, discover
from service.upstream_settings import UpstreamSettings
from tests.support.bundles import calibration_images, digits_onnx
from tests.support.guards import VIEWED, guarded
from tests.support.oip_server import OipServer
from tests.support.remote import digits_model, oip_process, remote_bundle
from tests.support.variants import fixed_batch, float16, nhwc, probabilities, uint8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from isthmus.inference.v2 import inference_pb2 as oip

TIMEOUT = 20.0


@pytest.fixture
def upstream(digits: EmbeddedDefault) -> Iterator[OipServer]:
    with OipServer(digits.classifier_file) as server:
        yield server


def test_a_bundle_scores_alike_wherever_its_classifier_runs(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    pixels = digits.test.pixels[:60]
    local = Detector.load(digits_bundle, threads=1)
    here = Detector(local.bundle, classifier=local.classifier).score(pixels)  # the reference engine
    with oip_process(digits.classifier_file) as process:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(process.target))
        assert not (bundle / "classifier.onnx").exists()
        there = load_detector(bundle, UpstreamSettings()).score(pixels)
    np.testing.assert_allclose(there.scores, here.scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(there.p_values, here.p_values, atol=1e-4)
    np.testing.assert_allclose(there.profile.logits, here.profile.logits, rtol=1e-4, atol=1e-4)
    assert there.verdicts == here.verdicts


def test_this_projects_own_server_is_such_a_server(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    pixels = digits.test.pixels[:5]
    here = Detector.load(digits_bundle, threads=1).score(pixels)
    with ServerProcess(digits_bundle, tmp_path / "log", port=0, metrics_port=0) as process:
        address = parse_address(f"grpc://{process.address}/isthmus?dtype=float32")
        declared = discover(address, Access(), timeout=TIMEOUT)
        assert (declared.model.input, declared.model.output) == ("images", "logits")
        assert declared.shape == (None, 8, 8, 1)
        spec = replace(digits_onnx(digits).spec, layout=Layout.NHWC)
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", declared.model, spec=spec)
        declared.endpoint.close()
        there = load_detector(bundle, UpstreamSettings()).score(pixels)
    np.testing.assert_allclose(there.scores, here.scores, rtol=1e-4, atol=1e-4)


VARIANTS: dict[str, tuple[Callable[[bytes], bytes], PixelType, Layout, int]] = {
    "as it is": (lambda model: model, PixelType.FLOAT32, Layout.NCHW, DEFAULT_BATCH),
    "nhwc": (nhwc, PixelType.FLOAT32, Layout.NHWC, DEFAULT_BATCH),
    "uint8": (uint8, PixelType.UINT8, Layout.NCHW, DEFAULT_BATCH),
    "float16": (float16, PixelType.FLOAT16, Layout.NCHW, DEFAULT_BATCH),
    "fixed batch": (lambda model: fixed_batch(model, 3), PixelType.FLOAT32, Layout.NCHW, 3),
    "probabilities": (probabilities, PixelType.FLOAT32, Layout.NCHW, DEFAULT_BATCH),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_model_is_found_as_it_is_deployed_and_answers_as_it_does_here(
    digits: EmbeddedDefault, tmp_path: Path, name: str
) -> None:
    alter, dtype, layout, batch = VARIANTS[name]
    file = tmp_path / "model.onnx"
    file.write_bytes(alter(digits.classifier_file.read_bytes()))
    images, _ = calibration_images(digits)
    with OipServer(file) as server:
        loaded = load_remote(discover(parse_address(f"grpc://{server.target}/digits"), Access(), timeout=TIMEOUT))
        found = loaded.classifier.logits(images[:40])
        server.batches.clear()
        loaded.classifier.logits(images[:40])
    assert (loaded.classifier.spec.dtype, loaded.classifier.spec.layout) == (dtype, layout)
    assert loaded.remote.batch == batch
    assert max(server.batches) == batch
    wanted = digits_onnx(digits).logits(images[:40])
    if name == "probabilities":
        wanted = wanted - np.log(np.exp(wanted).sum(1, keepdims=True))
        assert "probabilities" in " ".join(loaded.notes)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=0.05 if name == "float16" else 2e-3)


def test_the_request_holds_what_the_protocol_wants_and_no_more(upstream: OipServer) -> None:
    access = Access(token="hush")  # noqa: S106 - nobody's
    endpoint = UpstreamEndpoint(UpstreamServer(upstream.target, access), digits_model(upstream.target))
    endpoint.infer(np.ones((2, 1, 8, 8), np.float32), timeout=TIMEOUT)
    (request,) = upstream.requests
    (tensor,) = request.inputs
    assert (request.model_name, request.model_version) == ("digits", "")
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("images", "FP32", [2, 1, 8, 8])
    assert [output.name for output in request.outputs] == ["logits"]
    assert request.raw_input_contents == [np.ones(128, "<f4").tobytes()]
    assert upstream.metadata[0]["authorization"] == "Bearer hush"


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
@pytest.mark.parametrize("raw", [True, False])
def test_answers_are_read_in_every_float_type_raw_or_number_by_number(
    upstream: OipServer, datatype: str, *, raw: bool
) -> None:
    rows = np.arange(20).reshape(2, 10) / 4

    def alter(response: oip.ModelInferResponse) -> None:
        del response.raw_output_contents[:]
        response.outputs[0].datatype = datatype
        if raw:
            response.raw_output_contents.append(rows.astype(f"<f{int(datatype[2:]) // 8}").tobytes())
        elif datatype == "FP64":
            response.outputs[0].contents.fp64_contents.extend(rows.ravel())
        else:
            response.outputs[0].contents.fp32_contents.extend(rows.ravel())

    upstream.alter = alter
    endpoint = UpstreamEndpoint(UpstreamServer(upstream.target, Access()), digits_model(upstream.target))
    images = np.zeros((2, 1, 8, 8), np.float32)
    if datatype == "FP16" and not raw:  # the protocol has no field for it
        with pytest.raises(ClassifierError, match="holds 0 numbers"):
            endpoint.infer(images, timeout=TIMEOUT)
    else:
        np.testing.assert_array_equal(endpoint.infer(images, timeout=TIMEOUT), rows)


def test_settings_move_it_elsewhere_and_change_its_batches(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path, upstream: OipServer
) -> None:
    bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model("staging.invalid:1", model="before"))
    settings = UpstreamSettings(upstream_target=f"grpc://{upstream.target}/digits", upstream_batch=7)
    load_detector(bundle, settings).score(digits.test.pixels[:20])
    assert max(upstream.batches) == 7


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("other:2", {"target": "other:2"}),
        ("dns:///other:2", {"target": "dns:///other:2"}),
        ("grpcs://other:2", {"target": "other:2", "tls": True}),
        ("grpc://other:2/m", {"target": "other:2", "model": "m", "version": ""}),
        ("grpc://other:2/m/5?output=o", {"target": "other:2", "model": "m", "version": "5", "output": "o"}),
    ],
)
def test_a_target_replaces_what_it_says_and_leaves_the_rest(target: str, changes: dict[str, Any]) -> None:
    model = digits_model("here:1", version="3")
    assert UpstreamSettings(upstream_target=target).applied_to(model) == replace(model, **changes)
    assert UpstreamSettings().applied_to(model) == model


def test_large_images_go_in_smaller_batches_that_any_server_takes(upstream: OipServer) -> None:
    def tell(response: oip.ModelMetadataResponse) -> None:
        response.inputs[0].shape[:] = [-1, 3, 512, 512]

    def alter(response: oip.ModelInferResponse) -> None:
        count = response.outputs[0].shape[0]
        response.raw_output_contents[0] = np.eye(count, 10, dtype="<f4").tobytes()

    upstream.tell, upstream.alter = tell, alter
    declared = discover(parse_address(f"grpc://{upstream.target}/digits"), Access(), timeout=TIMEOUT)
    assert (declared.any_batch, declared.model.batch) == (True, DEFAULT_BATCH)
    stated = discover(parse_address(f"grpc://{upstream.target}/digits?batch=5"), Access(), timeout=TIMEOUT)
    assert (stated.any_batch, stated.model.batch) == (False, 5)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_is_spoken_where_the_address_says_so(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path, *, mutual: bool
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    own = authority.issue_cert("guard.example")
    root = authority.cert_pem.bytes()
    pairs = [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())]
    credentials = grpc.ssl_server_credentials(pairs, root if mutual else None, require_client_auth=mutual)
    (tmp_path / "ca.pem").write_bytes(root)
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    settings = UpstreamSettings(
        upstream_tls_ca=tmp_path / "ca.pem",
        upstream_tls_certificate=tmp_path / "own.pem" if mutual else None,
        upstream_tls_key=tmp_path / "own.pem" if mutual else None,
        upstream_retries=0,
        upstream_timeout=5,
    )
    with OipServer(digits.classifier_file, credentials=credentials) as server:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(server.target, tls=True))
        assert len(load_detector(bundle, settings).score(digits.test.pixels[:3])) == 3
        for stranger in (UpstreamSettings(), UpstreamSettings(upstream_target=f"grpc://{server.target}")):
            with pytest.raises(UpstreamUnavailableError, match="UNAVAILABLE"):
                load_detector(bundle, stranger)


def test_an_image_costs_two_round_trips(digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path) -> None:
    with OipServer(digits.classifier_file) as server:
        viewed = guarded(digits, digits_bundle, VIEWED).bundle
        write_bundle(tmp_path / "viewed", viewed.manifest, viewed.parts, attachments={})
        bundle = remote_bundle(tmp_path / "viewed", tmp_path / "remote", digits_model(server.target))
        detector = load_detector(bundle, UpstreamSettings())
        server.batches.clear()
        detector.score(digits.test.pixels[:1])
    assert server.batches == [1 + len(View), viewed.manifest.plan.forwards_per_image - 1 - len(View)]
