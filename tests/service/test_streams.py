from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.streams import in_order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _numbers(count: int, taken: list[int] | None = None) -> AsyncIterator[int]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield number


async def test_answers_keep_the_order_of_the_requests_whichever_is_ready_first() -> None:
    async def slow_first(number: int) -> int:
        await asyncio.sleep(0.001 * (20 - number))
        return -number

    found = [answer async for answer in in_order(_numbers(20), slow_first, at_once=7)]
    assert found == [-number for number in range(20)]


async def test_several_are_worked_on_at_once_and_never_more() -> None:
    working, most = 0, 0

    async def watched(number: int) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.002)
        working -= 1
        return number

    assert len([answer async for answer in in_order(_numbers(30), watched, at_once=4)]) == 30
    assert most == 4


async def test_no_request_is_taken_while_answers_are_not() -> None:
    taken: list[int] = []

    async def at_once(number: int) -> int:
        return number

    answers = in_order(_numbers(100, taken), at_once, at_once=5)
    assert await anext(answers) == 0
    await asyncio.sleep(0.05)
    assert len(taken) <= 6
    assert await anext(answers) == 1
    await asyncio.sleep(0.05)
    assert len(taken) <= 7
    await answers.aclose()


async def test_an_empty_stream_has_no_answers() -> None:
    async def never(_: int) -> int:
        raise AssertionError("there is no request")

    assert not [answer async for answer in in_order(_numbers(0), never, at_once=3)]


async def test_what_breaks_the_requests_comes_after_the_answers_to_those_before() -> None:
    async def breaking() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise ConnectionResetError("gone")

    async def same(number: int) -> int:
        return number

    answers = in_order(breaking(), same, at_once=8)
    assert [await anext(answers), await anext(answers)] == [1, 2]
    with pytest.raises(ConnectionResetError, match="gone"):
        await anext(answers)


async def test_nothing_goes_on_once_nobody_listens() -> None:
    cancelled = 0

    async def endless(number: int) -> int:
        nonlocal cancelled
        if number == 0:
            return 0
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return number

    answers = in_order(_numbers(10), endless, at_once=4)
    assert await anext(answers) == 0
    await asyncio.sleep(0.02)
    await answers.aclose()
    await asyncio.sleep(0.02)
    assert cancelled >= 3
