"""Streams: several requests are worked on at once, their answers come in the order of the requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def in_order(
    requests: AsyncIterable[Request], answer: Callable[[Request], Awaitable[Answer]], *, at_once: int
) -> AsyncGenerator[Answer, None]:
    """Answer a stream.

    No request is read while `at_once` are being worked on or their answers not yet taken, so that a caller who writes
    much and reads little is held up by the transport and fills no memory here.

    Args:
        requests: As they come.
        answer: Answers one; it must not raise, but for being cancelled.
        at_once: Most requests in hand.
    """
    room = asyncio.Semaphore(at_once)
    answers: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()

    async def take() -> None:
        try:
            await room.acquire()
            async for request in requests:
                answers.put_nowait(asyncio.ensure_future(answer(request)))
                await room.acquire()
        finally:
            answers.put_nowait(None)

    taking = asyncio.ensure_future(take())
    try:
        while (task := await answers.get()) is not None:
            yield await task
            room.release()
        await taking  # says what ended the requests, if it was no end of theirs
    finally:
        taking.cancel()
        while not answers.empty():
            if task := answers.get_nowait():
                task.cancel()
