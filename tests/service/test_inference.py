"""The Open Inference Protocol: by bare messages here, by an unmodified tritonclient in a process of its own."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from PIL import Image

from detector import Verdict
from detector.classifiers.base import OutputKind
from detector.images import to_canonical
from isthmus.inference.v2 import inference_pb2 as oip
from service.tensors import classifier_outputs_of
from tests.service.support import GatedScorer, python_environment, random_pixels
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from service.client import AsyncClient
    from service.server import RunningServer
    from tests.service.support import StartServer

PIXELS = random_pixels(3, 8, 8, 3)
NAMES = ["brightness", "logits", "score", "p_value", "verdict", "barrier_height", "barrier_gap", "stratum", "label"]
_DTYPES: dict[str, Any] = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}
CLIENT = Path(__file__).with_name("oip_client.py")


def call(channel: grpc.aio.Channel, method: str, request: Any, **options: Any) -> Any:
    answer = getattr(oip, type(request).__name__.replace("Request", "Response"))
    path = f"/inference.GRPCInferenceService/{method}"
    return channel.unary_unary(path, type(request).SerializeToString, answer.FromString)(request, **options)


def infer(images: NDArray[Any] = PIXELS, kind: str = "UINT8", **fields: Any) -> oip.ModelInferRequest:
    fields = {"model_name": "isthmus"} | fields
    request = oip.ModelInferRequest(raw_input_contents=[images.tobytes()], **fields)
    request.inputs.add(name="images", datatype=kind, shape=images.shape)
    return request


def read(response: oip.ModelInferResponse) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.datatype == "BYTES":
            found[output.name] = _texts(raw)
            assert [len(found[output.name])] == list(output.shape)
        else:
            found[output.name] = np.frombuffer(raw, _DTYPES[output.datatype]).reshape(tuple(output.shape))
    return found


def _texts(raw: bytes) -> list[str]:
    texts, at = [], 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        texts.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return texts


@pytest.fixture
async def channel(server: RunningServer) -> Any:
    async with grpc.aio.insecure_channel(server.target) as channel:
        yield channel


async def test_it_answers_what_the_native_api_answers(channel: grpc.aio.Channel, client: AsyncClient) -> None:
    response = await call(channel, "ModelInfer", infer(id="42"))
    found = read(response)
    native = await client.score(PIXELS, include_logits=True)
    assert (response.model_name, response.model_version, response.id) == ("isthmus", "1", "42")
    assert response.parameters["bundle_digest"].string_param == BrightnessScorer().bundle.digest
    assert list(found) == NAMES
    np.testing.assert_allclose(found["logits"], [image.logits for image in native], rtol=1e-6)
    np.testing.assert_allclose(found["score"], [image.score for image in native], rtol=1e-6)
    np.testing.assert_allclose(found["p_value"], [image.p_value for image in native], rtol=1e-6)
    assert found["verdict"].tolist() == [list(Verdict).index(image.verdict) for image in native if image.verdict]
    np.testing.assert_allclose(found["barrier_height"], [image.barrier_height for image in native], rtol=1e-6)
    np.testing.assert_allclose(found["barrier_gap"], [image.barrier_gap for image in native], rtol=1e-6)
    assert found["stratum"].tolist() == [image.stratum for image in native]
    assert found["label"] == [image.label for image in native]


def _typed(images: NDArray[Any], kind: str) -> oip.ModelInferRequest:
    request = infer(images, kind)
    del request.raw_input_contents[:]
    contents = request.inputs[0].contents
    (contents.uint_contents if kind == "UINT8" else contents.fp32_contents).extend(images.ravel().tolist())
    return request


async def test_pixels_may_come_in_any_form(channel: grpc.aio.Channel) -> None:
    floats = PIXELS.astype(np.float32) / np.float32(255)
    channels_first = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    wanted = read(await call(channel, "ModelInfer", infer()))
    requests = [infer(floats, "FP32"), infer(channels_first), _typed(PIXELS, "UINT8"), _typed(floats, "FP32")]
    for request in requests:
        found = read(await call(channel, "ModelInfer", request))
        np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-5)
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-5)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _files(files: Iterable[bytes], *, raw: bool = True) -> oip.ModelInferRequest:
    files = list(files)
    request = oip.ModelInferRequest(model_name="isthmus")
    tensor = request.inputs.add(name="images", datatype="BYTES", shape=[len(files)])
    if raw:
        request.raw_input_contents.append(b"".join(len(file).to_bytes(4, "little") + file for file in files))
    else:
        tensor.contents.bytes_contents.extend(files)
    return request


@pytest.mark.parametrize("raw", [True, False])
async def test_images_may_come_as_files(channel: grpc.aio.Channel, *, raw: bool) -> None:
    wanted = read(await call(channel, "ModelInfer", infer()))
    found = read(await call(channel, "ModelInfer", _files(map(_png, PIXELS), raw=raw)))
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-5)


async def test_only_outputs_that_are_asked_for_come_in_the_order_they_were_asked_for(channel: grpc.aio.Channel) -> None:
    request = infer()
    for name in ("label", "score"):
        request.outputs.add(name=name)
    assert list(read(await call(channel, "ModelInfer", request))) == ["label", "score"]


async def test_it_says_what_it_is(channel: grpc.aio.Channel) -> None:
    assert (await call(channel, "ServerLive", oip.ServerLiveRequest())).live
    assert (await call(channel, "ServerReady", oip.ServerReadyRequest())).ready
    assert (await call(channel, "ModelReady", oip.ModelReadyRequest(name="isthmus"))).ready
    assert (await call(channel, "ServerMetadata", oip.ServerMetadataRequest())).name == "isthmus"
    told = await call(channel, "ModelMetadata", oip.ModelMetadataRequest(name="isthmus", version="1"))
    (images,) = told.inputs
    assert (images.name, images.datatype, list(images.shape)) == ("images", "UINT8", [-1, 8, 8, 3])
    assert [port.name for port in told.outputs] == NAMES
    assert list(told.outputs[0].shape) == [-1, 3]
    assert told.properties["bundle_digest"] == BrightnessScorer().bundle.digest


async def test_a_model_may_have_another_name(start_server: StartServer) -> None:
    server = await start_server(model_name="guard")
    async with grpc.aio.insecure_channel(server.target) as channel:
        assert (await call(channel, "ModelReady", oip.ModelReadyRequest(name="guard"))).ready
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "ModelReady", oip.ModelReadyRequest(name="isthmus"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "there is no model 'isthmus'; there is 'guard', version '1'"


async def test_a_stream_answers_in_order_and_goes_on_after_an_error(channel: grpc.aio.Channel) -> None:
    images = {"a": PIXELS[:1], "b": PIXELS[:, :4].copy(), "c": PIXELS[1:]}
    messages = [infer(part, id=name).SerializeToString() for name, part in images.items()]
    messages.insert(2, b"\xff\xff")
    stream: Any = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer", None, oip.ModelStreamInferResponse.FromString
    )
    answers = [answer async for answer in stream(iter(messages))]
    assert [answer.infer_response.id for answer in answers] == ["a", "b", "", "c"]
    assert [bool(answer.error_message) for answer in answers] == [False, True, True, False]
    says = "inputs[0].shape: must be [N, 8, 8, 3] or [N, 3, 8, 8], not [3, 4, 8, 3]"
    assert answers[1].error_message == says
    wanted = read(await call(channel, "ModelInfer", infer()))
    both = [read(answers[at].infer_response)["score"] for at in (0, 3)]
    np.testing.assert_allclose(np.concatenate(both), wanted["score"], rtol=1e-5)


async def test_a_request_has_a_time_out_of_its_own(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer)
    async with grpc.aio.insecure_channel(server.target) as channel:
        request = infer()
        request.parameters["timeout"].int64_param = 50_000
        with scorer.closed():
            first = asyncio.ensure_future(call(channel, "ModelInfer", infer()))
            await scorer.entered(3)
            late = asyncio.ensure_future(call(channel, "ModelInfer", request))
            await asyncio.sleep(0.2)
        await first
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await late
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(scorer.batches) == 3


async def test_an_unmodified_tritonclient_is_served(server: RunningServer, client: AsyncClient, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", PIXELS)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        server.target,
        str(tmp_path / "images.npy"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=python_environment(),
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    native = await client.score(PIXELS)
    scores = [image.score for image in native]
    assert [told[name] for name in ("live", "ready", "model_ready")] == [True, True, True]
    assert told["server"]["name"] == "isthmus"
    assert [output["name"] for output in told["model"]["outputs"]] == NAMES
    assert list(told["uint8"]) == NAMES
    np.testing.assert_allclose(told["uint8"]["score"], scores, rtol=1e-5)
    assert told["uint8"]["label"] == [image.label for image in native]
    assert list(told["float"]) == ["p_value", "label"]
    np.testing.assert_allclose(told["float"]["p_value"], [image.p_value for image in native], rtol=1e-5)
    first, wrong, last = told["stream"]
    assert first[0] == "0"
    np.testing.assert_allclose(first[1], scores[:1], rtol=1e-5)
    assert "inputs[0].shape" in wrong
    assert last[0] == "2"
    np.testing.assert_allclose(last[1], scores[1:], rtol=1e-5)
    assert "StatusCode.NOT_FOUND" in told["errors"][0]
    assert "StatusCode.INVALID_ARGUMENT" in told["errors"][1]
    assert "inputs[0].shape" in told["errors"][1]


async def test_tritons_priorities_are_heeded(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, max_batch_images=3)
    finished: list[str] = []
    async with grpc.aio.insecure_channel(server.target) as channel:
        with scorer.closed():
            calls = [asyncio.ensure_future(call(channel, "ModelInfer", infer()))]
            await scorer.entered(3)
            for name, level in (("bulk", 2), ("urgent", 1), ("default", 0)):
                request = infer()
                request.parameters["priority"].uint64_param = level
                calls.append(asyncio.ensure_future(call(channel, "ModelInfer", request)))
                calls[-1].add_done_callback(lambda _, name=name: finished.append(name))
                await asyncio.sleep(0.1)
        await asyncio.gather(*calls)
    assert finished == ["urgent", "default", "bulk"]


async def test_the_classifier_alone_is_another_model_where_it_has_a_name(start_server: StartServer) -> None:
    server = await start_server(classifier_model="classifier")
    async with grpc.aio.insecure_channel(server.target) as channel:
        guarded = read(await call(channel, "ModelInfer", infer()))
        alone = await call(channel, "ModelInfer", infer(model_name="classifier"))
        described = await call(channel, "ModelMetadata", oip.ModelMetadataRequest(name="classifier"))
        assert (await call(channel, "ModelReady", oip.ModelReadyRequest(name="classifier"))).ready
    assert alone.model_name == "classifier"
    assert list(read(alone)) == ["brightness", "logits"]
    np.testing.assert_allclose(read(alone)["logits"], guarded["logits"], rtol=1e-5)
    names = [(output.name, list(output.shape)) for output in described.outputs]
    assert names == [("brightness", [-1, 3]), ("logits", [-1, 3])]
    value = server._registry.get_sample_value
    assert value("isthmus_classified_images_total") == value("isthmus_images_total") == len(PIXELS)


async def test_the_classifier_alone_is_not_offered_unless_asked_for(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, "ModelInfer", infer(model_name="classifier"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_classifiers_own_output_comes_back_under_its_own_name(start_server: StartServer) -> None:
    server = await start_server(classifier_model="classifier")
    expected = BrightnessScorer().classify_canonical(to_canonical(PIXELS, (3, 8, 8)))
    async with grpc.aio.insecure_channel(server.target) as channel:
        for model in ("isthmus", "classifier"):
            request = infer(model_name=model)
            request.outputs.add(name="brightness")
            found = read(await call(channel, "ModelInfer", request))
            assert list(found) == ["brightness"]
            np.testing.assert_allclose(found["brightness"], expected, rtol=1e-4)


def test_a_classifier_of_probabilities_puts_out_probabilities() -> None:
    bundle = BrightnessScorer().bundle
    of_probabilities = replace(bundle, manifest=replace(bundle.manifest, output_kind=OutputKind.PROBABILITIES))
    logits = np.log(np.array([[0.25, 0.5, 0.25]], np.float32))
    own, plain = classifier_outputs_of(of_probabilities)
    assert (own.name, plain.name) == ("brightness", "logits")
    np.testing.assert_allclose(np.array(own.read(logits)), np.exp(logits), rtol=1e-6)
    np.testing.assert_array_equal(np.array(plain.read(logits)), logits)
