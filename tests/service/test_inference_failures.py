from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from isthmus.inference.v2 import inference_pb2 as oip
from service.server import RunningServer
from tests.service.support import GatedScorer, random_pixels, settings_for_tests
from tests.service.test_inference import PIXELS, _files, _png, _typed, call, infer
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.support import StartServer

FLOATS = PIXELS.astype(np.float32) / np.float32(255)


def _changed(change: Callable[[oip.ModelInferRequest], object]) -> oip.ModelInferRequest:
    request = infer()
    change(request)
    return request


def _too_bright() -> oip.ModelInferRequest:
    images = FLOATS.copy()
    images[1, 0, 0, 0] = 1.5
    return infer(images, "FP32")


def _not_a_byte() -> oip.ModelInferRequest:
    request = _typed(PIXELS, "UINT8")
    request.inputs[0].contents.uint_contents[5] = 256
    return request


def _cut_file() -> oip.ModelInferRequest:
    request = _files([_png(PIXELS[0]), _png(PIXELS[1])])
    request.raw_input_contents[0] = request.raw_input_contents[0][:-7]
    return request


def _five_files() -> oip.ModelInferRequest:
    request = _files([_png(PIXELS[0])])
    request.inputs[0].shape[0] = 5
    return request


def _priority(request: oip.ModelInferRequest) -> None:
    request.parameters["priority"].int64_param = -2


def _timeout(request: oip.ModelInferRequest) -> None:
    request.parameters["timeout"].int64_param = -1


WRONG: dict[str, tuple[oip.ModelInferRequest, str]] = {
    "no input": (
        _changed(lambda r: r.ClearField("inputs")),
        "inputs: exactly one input, 'images', is expected, not none",
    ),
    "two inputs": (_changed(lambda r: r.inputs.add(name="more")), "inputs: exactly one input"),
    "another input": (_changed(lambda r: setattr(r.inputs[0], "name", "x")), "inputs: exactly one input"),
    "no data": (_changed(lambda r: r.ClearField("raw_input_contents")), "raw_input_contents: is missing"),
    "both data": (
        _changed(lambda r: r.inputs[0].contents.uint_contents.append(1)),
        "inputs[0].contents: must not be set beside raw_input_contents",
    ),
    "more data": (
        _changed(lambda r: r.raw_input_contents.append(b"x")),
        "raw_input_contents: has 2 entries for 1 input",
    ),
    "short data": (
        _changed(lambda r: r.raw_input_contents.__setitem__(0, r.raw_input_contents[0][:-1])),
        "raw_input_contents[0]: has 575 bytes; shape and datatype make 576",
    ),
    "datatype": (_changed(lambda r: setattr(r.inputs[0], "datatype", "INT64")), "inputs[0].datatype: must be UINT8"),
    "shape": (infer(PIXELS[..., 0]), "inputs[0].shape: must be [N, 8, 8, 3] or [N, 3, 8, 8], not [3, 8, 8]"),
    "negative shape": (
        _changed(lambda r: r.inputs[0].shape.__setitem__(0, -3)),
        "raw_input_contents[0]: has 576 bytes; shape and datatype make -576",
    ),
    "no images": (infer(PIXELS[:0]), "images: the batch is empty"),
    "output": (_changed(lambda r: r.outputs.add(name="saliency")), "outputs[0].name: there is no output 'saliency'"),
    "pixel": (_too_bright(), "images[1]: float pixels must lie in [0, 1]"),
    "byte": (_not_a_byte(), "inputs[0].contents: UINT8 ends at 255, found 256"),
    "file": (_files([_png(PIXELS[0]), b"GIF"]), "images[1]: "),
    "cut file": (_cut_file(), "raw_input_contents[0]: ends within element 1"),
    "file count": (
        _five_files(),
        "inputs[0].shape: says 5 images, there are 1",
    ),
    "priority": (_changed(_priority), "parameters[priority]: must not be negative, not -2"),
    "timeout": (_changed(_timeout), "parameters[timeout]: must be a positive number of microseconds, not -1"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_named(server: RunningServer, wrong: str) -> None:
    request, says = WRONG[wrong]
    async with grpc.aio.insecure_channel(server.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "ModelInfer", request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (caught.value.details() or "").startswith(says)


async def test_a_version_that_there_is_not_is_not_found(server: RunningServer) -> None:
    requests: list[tuple[str, Any]] = [
        ("ModelInfer", _changed(lambda r: setattr(r, "model_version", "2"))),
        ("ModelMetadata", oip.ModelMetadataRequest(name="isthmus", version="2")),
        ("ModelReady", oip.ModelReadyRequest(name="isthmus", version="2")),
    ]
    async with grpc.aio.insecure_channel(server.target) as channel:
        for method, request in requests:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, method, request)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            assert caught.value.details() == "there is no model 'isthmus', version '2'; there is 'isthmus', version '1'"


async def test_too_many_images_are_refused(start_server: StartServer) -> None:
    server = await start_server(max_images=2)
    async with grpc.aio.insecure_channel(server.target) as channel:
        for request in (infer(), _files(map(_png, PIXELS))):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, "ModelInfer", request)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.details() == "images: 3 images, at most 2 per request"


async def test_small_messages_that_would_grow_are_refused(start_server: StartServer) -> None:
    server = await start_server(max_images=2)
    message = b"\x3a\x00" * 100_000  # empty entries of raw_input_contents
    async with grpc.aio.insecure_channel(server.target) as channel:
        bare: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bare(message)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_before_it_is_loaded_it_is_live_but_not_ready() -> None:
    server = RunningServer(settings_for_tests(), load=lambda _: BrightnessScorer())
    await server.listen()
    try:
        async with grpc.aio.insecure_channel(server.target) as channel:
            assert (await call(channel, "ServerLive", oip.ServerLiveRequest())).live
            assert not (await call(channel, "ServerReady", oip.ServerReadyRequest())).ready
            assert not (await call(channel, "ModelReady", oip.ModelReadyRequest(name="isthmus"))).ready
            for method, request in (
                ("ModelInfer", infer()),
                ("ModelMetadata", oip.ModelMetadataRequest(name="isthmus")),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(channel, method, request)
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop()


async def test_what_is_unexpected_shows_an_id_and_nothing_else(start_server: StartServer) -> None:
    server = await start_server(GatedScorer())
    black = np.zeros((1, 8, 8, 3), np.uint8)
    async with grpc.aio.insecure_channel(server.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "ModelInfer", infer(black))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in str(caught.value)
        stream = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            oip.ModelInferRequest.SerializeToString,
            oip.ModelStreamInferResponse.FromString,
        )
        first, second = [answer async for answer in stream(iter([infer(black), infer(random_pixels(1, 8, 8, 3))]))]
    assert first.error_message.startswith("internal error ")
    assert "secret" not in first.error_message
    assert not second.error_message
