"""The client's end of `ScoreStream`: images as they come, answers in their order."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc

from detector.errors import IsthmusError, ServiceFailedError
from isthmus.v1 import detector_pb2 as pb
from service.requests import requests_for
from service.results import ScoredImage
from service.status import from_rpc_error, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator

    from service.requests import Image, Wishes
    from service.results import DetectorDescription

_CUT_SHORT: Final = "the server ended the stream before it had answered every image"
# Stands where an answer will: the id of a request that was sent, an image that could not be, or the end of the call.
_Place: TypeAlias = str | IsthmusError | None


@dataclass
class _Asking:
    """What to ask for, and how the asking ended.

    Args:
        wishes: What answers shall have.
        limits: What the server accepts.
        put: Takes the places, in order.
        ended: Whether all images were asked about.
        failure: What the images' iterator raised.
    """

    wishes: Wishes
    limits: DetectorDescription
    put: Callable[[_Place], None]
    ended: bool = False
    failure: Exception | None = None
    _asked: int = field(default=0, init=False)

    def requests(self, image: Image) -> list[pb.ScoreStreamRequest]:
        """Requests about an image, whose places are taken: one, but for an array of many; none if it can't be sent."""
        found: list[pb.ScoreStreamRequest] = []
        try:
            for _, request in requests_for(image, self.wishes, self.limits):
                found.append(pb.ScoreStreamRequest(id=str(self._asked + len(found)), request=request))
        except IsthmusError as error:
            self.put(error)
            return []
        self._asked += len(found)
        for made in found:
            self.put(made.id)
        return found

    @contextmanager
    def until_ended(self) -> Iterator[None]:
        """Around the images' iterator, whose errors are raised where answers are read."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the caller's own, of any kind
            self.failure = error
        self.ended = True

    def check_end(self, further: pb.ScoreStreamResponse | None, *, waiting: bool) -> None:
        """At the end of a call that did not fail: was everything answered, and nothing else?"""
        if self.failure is not None:
            raise self.failure
        if further is not None:
            raise ServiceFailedError("the server answered what it was not asked")
        if waiting or not self.ended:
            raise ServiceFailedError(_CUT_SHORT)


def score_stream(
    method: Any, images: Iterable[Image], wishes: Wishes, limits: DetectorDescription, metadata: Any
) -> Iterator[ScoredImage]:
    """As `Client.score_stream`, by the stub's method."""
    places: queue.SimpleQueue[_Place] = queue.SimpleQueue()
    asking = _Asking(wishes, limits, places.put)

    def requests() -> Iterator[pb.ScoreStreamRequest]:  # on a thread of gRPC's
        with asking.until_ended():
            for image in images:
                yield from asking.requests(image)

    call = method(requests(), metadata=metadata)
    if not call.add_callback(lambda: places.put(None)):  # it is over already
        places.put(None)
    try:
        while (place := places.get()) is not None:
            if isinstance(place, IsthmusError):
                yield ScoredImage(error=place)
            else:
                yield from _scored(next(call, None), place)
        asking.check_end(next(call, None), waiting=not places.empty())
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        call.cancel()


async def score_stream_async(
    method: Any,
    images: Iterable[Image] | AsyncIterable[Image],
    wishes: Wishes,
    limits: DetectorDescription,
    metadata: Any,
) -> AsyncGenerator[ScoredImage, None]:
    """As `AsyncClient.score_stream`, by the stub's method."""
    places: asyncio.Queue[_Place] = asyncio.Queue()
    asking = _Asking(wishes, limits, places.put_nowait)

    async def requests() -> AsyncIterator[pb.ScoreStreamRequest]:
        # What is written to a call that is being refused would hide why; the server says first that it takes it.
        await call.initial_metadata()
        if call.done():
            return
        with asking.until_ended():
            async for image in _each(images):
                for request in asking.requests(image):
                    yield request

    call = method(requests(), metadata=metadata)
    call.add_done_callback(lambda _: places.put_nowait(None))
    answers = aiter(call)  # `call.read` would forget answers that came before the call's end
    try:
        while (place := await places.get()) is not None:
            if isinstance(place, IsthmusError):
                yield ScoredImage(error=place)
                continue
            for scored in _scored(await anext(answers, None), place):
                yield scored
        asking.check_end(await anext(answers, None), waiting=not places.empty())
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        call.cancel()


def _scored(answer: pb.ScoreStreamResponse | None, asked: str) -> Iterator[ScoredImage]:
    if answer is None:
        raise ServiceFailedError(_CUT_SHORT)
    if answer.id != asked:
        raise ServiceFailedError(f"the server answered request {answer.id!r} in the place of {asked!r}")
    if answer.WhichOneof("outcome") == "error":
        yield ScoredImage(error=from_status(answer.error))
    else:
        yield from map(ScoredImage.of, answer.response.results)


async def _each(images: Iterable[Image] | AsyncIterable[Image]) -> AsyncIterator[Image]:
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield image
    else:
        for image in images:
            yield image
