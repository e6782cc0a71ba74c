"""Requests that are computed on the event loop itself."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import DeadlineError, OverloadedError
from service.batching import MicroBatcher
from tests.service.test_batching import ANN, BEN, Record, images, scores
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from detector import Detection
    from detector.classifiers.base import Float32Array


class ThreadScorer(BrightnessScorer):
    """Notes which thread asked, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.inline: list[bool] = []
        self.together = False
        self._loop = threading.get_ident()
        self._busy = threading.Lock()

    def score_canonical(self, images: Float32Array) -> Detection:
        self.inline.append(threading.get_ident() == self._loop)
        self.together |= self._busy.locked()
        with self._busy:
            time.sleep(self.seconds)
        if not images.any():
            raise RuntimeError("black")
        return super().score_canonical(images)


async def ask(batcher: MicroBatcher[Detection], count: int = 1, seed: int = 0) -> tuple[Detection, ...]:
    """As a caller who is admitted does."""
    with batcher.admit(count, ANN):
        return await batcher.score(images(count, seed=seed), caller=ANN, time_left=30)


@asynccontextmanager
async def inlining(
    scorer: ThreadScorer, record: Record, *, seconds: float = 60.0, before: int = 8
) -> AsyncIterator[MicroBatcher[Detection]]:
    """A batcher that has had callers one by one before, for long enough."""
    batcher = MicroBatcher(
        scorer.score_canonical, max_batch_images=8, max_queue_images=64, observer=record, inline_seconds=seconds
    )
    try:
        for _ in range(before):
            await ask(batcher)
        assert not any(scorer.inline)
        scorer.inline.clear()
        yield batcher
    finally:
        await batcher.close()


async def test_where_requests_come_one_by_one_most_are_computed_on_the_event_loop() -> None:
    scorer, record = ThreadScorer(), Record()
    async with inlining(scorer, record) as batcher:
        for count in (1, 8, 3, 2, 1, 1, 1, 1, 2, 1):
            wanted = BrightnessScorer().score_canonical(images(count, seed=count))
            np.testing.assert_array_equal(scores(await ask(batcher, count, seed=count)), wanted.scores)
    assert scorer.inline == [*[True] * 8, False, True]  # now and then somebody listens
    assert record.batches[8:] == [1, 8, 3, 2, 1, 1, 1, 1, 2, 1]
    assert len(record.waits) == 18


async def test_an_engine_that_fails_on_the_event_loop_fails_its_caller_alone() -> None:
    scorer = ThreadScorer()
    async with inlining(scorer, Record()) as batcher:
        with pytest.raises(RuntimeError, match="black"):
            await batcher.score(np.zeros_like(images(2)))
        assert len(scores(await ask(batcher))) == 1
    assert scorer.inline == [True, True]


async def test_what_takes_long_or_several_batches_is_not_computed_on_the_event_loop() -> None:
    scorer = ThreadScorer(seconds=0.1)
    async with inlining(scorer, Record(), seconds=0.19) as batcher:
        await ask(batcher)
        await ask(batcher, 2)
    assert scorer.inline == [True, False]
    scorer = ThreadScorer()
    async with inlining(scorer, Record()) as batcher:
        await ask(batcher, 9)
    assert scorer.inline == [False, False]


async def test_where_there_are_others_nothing_is_computed_on_the_event_loop() -> None:
    scorer = ThreadScorer()
    async with inlining(scorer, Record()) as batcher:
        with batcher.admit(1, BEN):  # whose image is still being read
            await ask(batcher)
        assert scorer.inline == [False]
        await ask(batcher)
        assert scorer.inline == [False, False]  # once there were others, it takes a while to be sure again
        with pytest.raises(DeadlineError):
            await batcher.score(images(1), time_left=0.0)


async def test_requests_that_share_batches_are_not_alone() -> None:
    scorer, record = ThreadScorer(), Record()
    async with inlining(scorer, record, before=0) as batcher:
        for _ in range(9):
            await asyncio.gather(ask(batcher), ask(batcher))
    assert record.batches == [2] * 9
    assert not any(scorer.inline)


async def begun_elsewhere(
    scorer: ThreadScorer, batcher: MicroBatcher[Detection]
) -> asyncio.Task[tuple[Detection, ...]]:
    """The one in nine that is not computed on the event loop; under way, for long."""
    for _ in range(8):
        await ask(batcher)
    scorer.seconds = 0.2
    task = asyncio.create_task(ask(batcher))
    await asyncio.sleep(0.05)
    return task


async def test_who_was_turned_away_was_there_too() -> None:
    scorer = ThreadScorer()
    async with inlining(scorer, Record()) as batcher:
        beside = await begun_elsewhere(scorer, batcher)
        with pytest.raises(OverloadedError), batcher.admit(65, BEN):
            pass
        await beside
        scorer.seconds = 0.0
        await ask(batcher)
    assert scorer.inline == [*[True] * 8, False, False]


async def test_nobody_is_computed_beside_one_whose_places_were_given_back() -> None:
    scorer = ThreadScorer()
    async with inlining(scorer, Record()) as batcher:
        gone = await begun_elsewhere(scorer, batcher)
        gone.cancel()
        await ask(batcher)
    assert scorer.inline == [*[True] * 8, False, False]
    assert not scorer.together
