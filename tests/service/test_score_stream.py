from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from isthmus.v1 import detector_pb2 as pb
from service.server import RunningServer
from service.status import from_status
from tests.service.support import WARM_UP_BATCHES, GatedScorer, random_pixels, settings_for_tests
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.client import AsyncClient
    from tests.service.support import Pixels, StartServer

PIXELS = random_pixels(40, 8, 8, 3)


def streamed(name: str, pixels: Pixels, **wishes: Any) -> pb.ScoreStreamRequest:
    tensor = pb.ImageTensor(data=pixels.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=pixels.shape)
    return pb.ScoreStreamRequest(id=name, request=pb.ScoreRequest(tensor=tensor, **wishes))


def score_stream(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream(
        "/isthmus.v1.AdversarialDetector/ScoreStream",
        lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        pb.ScoreStreamResponse.FromString,
    )


async def test_answers_come_in_order_and_are_those_of_single_calls(server: RunningServer, client: AsyncClient) -> None:
    requests = [streamed(str(i), PIXELS[i : i + 1 + i % 3]) for i in range(30)]
    async with grpc.aio.insecure_channel(server.target) as channel:
        answers = [answer async for answer in score_stream(channel)(iter(requests))]
    assert [answer.id for answer in answers] == [str(i) for i in range(30)]
    scores = [[result.evidence.score for result in answer.response.results] for answer in answers]
    native = [image.score for image in await client.score(PIXELS)]
    assert [len(part) for part in scores] == [1 + i % 3 for i in range(30)]
    for i, part in enumerate(scores):
        np.testing.assert_allclose(part, native[i : i + len(part)], rtol=1e-5)


async def test_a_request_that_fails_does_not_end_the_stream(start_server: StartServer) -> None:
    server = await start_server(GatedScorer())
    black = np.zeros((1, 8, 8, 3), np.uint8)
    wrong = random_pixels(1, 4, 4, 3)
    requests = [streamed("good", PIXELS[:1]), streamed("wrong", wrong), b"\xff\xff", streamed("black", black)]
    async with grpc.aio.insecure_channel(server.target) as channel:
        answers = [answer async for answer in score_stream(channel)(iter([*requests, streamed("last", PIXELS[1:3])]))]
    assert [answer.id for answer in answers] == ["good", "wrong", "", "black", "last"]
    assert [answer.WhichOneof("outcome") for answer in answers] == ["response", "error", "error", "error", "response"]
    texts = [str(from_status(answer.error)) for answer in answers[1:4]]
    assert texts[0].startswith("tensor.shape: must be [N, 8, 8, 3]")
    assert texts[1].startswith("request: is no message")
    assert "internal error" in texts[2]
    assert "secret" not in texts[2]


async def test_one_bad_image_may_fail_alone(server: RunningServer) -> None:
    floats = PIXELS[:3].astype(np.float32) / np.float32(255)
    floats[1, 0, 0, 0] = np.nan
    tensor = pb.ImageTensor(data=floats.tobytes(), pixel_type=pb.PIXEL_TYPE_FLOAT32, shape=floats.shape)
    request = pb.ScoreRequest(tensor=tensor, bad_image_policy=pb.BAD_IMAGE_POLICY_REPORT_PER_IMAGE)
    async with grpc.aio.insecure_channel(server.target) as channel:
        (answer,) = [entry async for entry in score_stream(channel)(iter([pb.ScoreStreamRequest(request=request)]))]
    outcomes = [result.WhichOneof("outcome") for result in answer.response.results]
    assert outcomes == ["evidence", "error", "evidence"]


async def test_a_caller_who_does_not_read_is_held_up_and_fills_nothing(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, stream_requests=3, max_batch_images=1)
    sent = 0

    async def endless() -> AsyncIterator[pb.ScoreStreamRequest]:
        nonlocal sent
        while True:
            sent += 1
            # Large, so that the transport's own buffers hold few.
            yield streamed(str(sent), random_pixels(100, 8, 8, 3), include_profile=True, include_logits=True)

    async with grpc.aio.insecure_channel(server.target) as channel:
        with scorer.closed():
            call = score_stream(channel)(endless())
            await scorer.entered(WARM_UP_BATCHES)
            await asyncio.sleep(0.5)
            stalled = sent
            await asyncio.sleep(0.5)
            assert sent == stalled
        assert (await call.read()).id == "1"
        call.cancel()


async def test_while_loading_a_stream_is_refused() -> None:
    server = RunningServer(settings_for_tests(), load=lambda _: BrightnessScorer())
    await server.listen()
    try:
        async with grpc.aio.insecure_channel(server.target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await score_stream(channel)().read()  # nothing is written: a write may cross the refusal and hide it
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop()


async def test_stopping_lets_a_stream_finish_what_it_was_sent() -> None:
    scorer = GatedScorer()
    server = RunningServer(settings_for_tests(), load=lambda _: scorer)
    await server.listen()
    await server.make_ready()
    async with grpc.aio.insecure_channel(server.target) as channel:
        with scorer.closed():
            call = score_stream(channel)(iter([streamed("a", PIXELS[:1]), streamed("b", PIXELS[1:2])]))
            await scorer.entered(WARM_UP_BATCHES + 1)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.1)
        answers = [answer async for answer in call]
        await stopping
    assert [(answer.id, answer.WhichOneof("outcome")) for answer in answers] == [("a", "response"), ("b", "response")]
