"""`Client.score_stream`: images as they come, answers in their order."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from detector.errors import InvalidInputError, LimitExceededError, NotReadyError, ServiceFailedError
from isthmus.v1 import detector_pb2_grpc
from service.client import AsyncClient, Client
from service.client_stream import score_stream
from service.requests import Wishes
from service.server import RunningServer
from tests.service.support import GatedScorer, random_pixels, settings_for_tests
from tests.support.brightness import BrightnessScorer
from tests.support.pictures import encoded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from service.results import ScoredImage
    from tests.service.support import StartServer

PIXELS = random_pixels(40, 8, 8, 3)


async def _blocking(target: str, images: Iterable[Any], **wishes: Any) -> list[ScoredImage]:
    """All answers to the client that blocks, on a thread of its own."""

    def ask() -> list[ScoredImage]:
        with Client(target) as client:
            return list(client.score_stream(images, **wishes))

    return await asyncio.to_thread(ask)


async def _waiting(target: str, images: Iterable[Any], **wishes: Any) -> list[ScoredImage]:
    async with AsyncClient(target) as client:
        return [answer async for answer in client.score_stream(images, **wishes)]


both = pytest.mark.parametrize("ask", [_blocking, _waiting], ids=["blocking", "asyncio"])


@both
async def test_answers_are_those_of_single_calls_in_order(server: RunningServer, client: AsyncClient, ask: Any) -> None:
    found = await ask(server.target, PIXELS, include_logits=True)
    expected = await client.score(PIXELS, include_logits=True)
    assert [image.label for image in found] == [image.label for image in expected]
    np.testing.assert_allclose([image.score for image in found], [image.score for image in expected], rtol=1e-5)
    np.testing.assert_allclose([image.logits for image in found], [image.logits for image in expected], rtol=1e-4)
    assert not found[0].profile


@both
async def test_bad_images_have_errors_in_their_places(server: RunningServer, tmp_path: Path, ask: Any) -> None:
    good = tmp_path / "good.png"
    good.write_bytes(encoded(PIXELS[1], "PNG"))
    images = [PIXELS[0], tmp_path / "none.png", good, b"no image", PIXELS[2, :4], np.zeros((2, 8, 8, 3), np.uint8)]
    found = await ask(server.target, images)
    kinds = [type(answer.error) for answer in found]
    nothing = type(None)
    assert kinds == [nothing, InvalidInputError, nothing, InvalidInputError, InvalidInputError, nothing, nothing]
    assert "can't read" in str(found[1].error)
    assert "tensor.shape" in str(found[4].error)


@both
async def test_what_the_images_raise_is_raised_after_the_answers(server: RunningServer, ask: Any) -> None:
    def camera() -> Iterator[Any]:
        yield PIXELS[0]
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        await ask(server.target, camera())


@both
async def test_no_images_get_no_answers(server: RunningServer, ask: Any) -> None:
    assert await ask(server.target, []) == []


async def test_a_call_may_be_over_before_its_answers_are_asked_for(server: RunningServer) -> None:
    """As where the thread that asks is held up, once there was nothing to ask."""

    def ask() -> list[ScoredImage]:
        with grpc.insecure_channel(server.target) as channel, Client(server.target) as client:
            method: Any = detector_pb2_grpc.AdversarialDetectorStub(channel).ScoreStream

            def late(requests: Iterator[Any], metadata: Any) -> Any:
                call = method(requests, metadata=metadata)
                over = threading.Event()
                if call.add_callback(over.set):
                    assert over.wait(20)
                return call

            return list(score_stream(late, [], Wishes(), client.describe(), ()))

    async with asyncio.timeout(30):
        assert await asyncio.to_thread(ask) == []


async def test_answers_come_while_images_are_still_to_come(server: RunningServer) -> None:
    answered = asyncio.Event()

    async def images() -> AsyncIterator[Any]:
        yield PIXELS[0]
        async with asyncio.timeout(20):
            await answered.wait()
        yield PIXELS[1]

    async with AsyncClient(server.target) as client:
        found = []
        async for answer in client.score_stream(images()):
            found.append(answer)
            answered.set()
    assert len(found) == 2


async def test_who_stops_reading_ends_the_stream(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer)

    def endless() -> Iterator[Any]:
        while True:
            yield PIXELS[0]

    async with AsyncClient(server.target) as client, aclosing(client.score_stream(endless())) as answers:
        async for _ in answers:
            break

    def ask() -> None:
        with Client(server.target) as client:
            next(iter(client.score_stream(endless())))

    await asyncio.to_thread(ask)
    async with AsyncClient(server.target) as client:
        assert len(await client.score(PIXELS)) == len(PIXELS)


@both
async def test_a_server_that_is_loading_says_so(ask: Any) -> None:
    server = RunningServer(settings_for_tests(), load=lambda _: BrightnessScorer())
    await server.listen()
    try:
        with pytest.raises(NotReadyError):
            await ask(server.target, PIXELS)
    finally:
        await server.stop()


async def test_a_stream_that_is_refused_says_why(start_server: StartServer) -> None:
    """Also to who has asked before, and so begins to write at once."""
    server = await start_server()
    async with AsyncClient(server.target) as client:
        await client.describe()
        await server.stop()
        with pytest.raises(NotReadyError):
            _ = [answer async for answer in client.score_stream(PIXELS)]


async def test_a_server_that_dies_is_told_apart_from_the_end(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, grace=0.0)

    async def images() -> AsyncIterator[Any]:
        yield PIXELS[0]
        yield PIXELS[1]
        await asyncio.sleep(20)

    async with AsyncClient(server.target) as client:
        answers = client.score_stream(images())
        first = await anext(answers)
        assert first.error is None
        stopping = asyncio.create_task(server.stop())
        with pytest.raises((NotReadyError, ServiceFailedError)):
            _ = [answer async for answer in answers]
        await stopping


@both
async def test_a_request_too_large_fails_alone(start_server: StartServer, ask: Any) -> None:
    server = await start_server(max_image_bytes=1000)
    found = await ask(server.target, [bytes(2000), PIXELS[0]])
    assert [type(answer.error) for answer in found] == [LimitExceededError, type(None)]
