from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import DeadlineError, NotReadyError, OverloadedError
from detector.images import to_canonical
from service.batching import MicroBatcher
from service.callers import Caller, Priority
from tests.service.support import WARM_UP_BATCHES, GatedScorer, random_pixels
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from detector import Detection
    from detector.classifiers.base import Float32Array


ANN, BEN = Caller("ann"), Caller("ben")


@dataclass
class Record:
    """What a batcher told its observer."""

    places: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def admitted(self, images: int) -> None:
        self.places.append(images)

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def computed(self, images: int, seconds: float) -> None:
        assert seconds >= 0
        self.batches.append(images)


@asynccontextmanager
async def batching(
    scorer: GatedScorer, record: Record | None = None, **limits: Any
) -> AsyncIterator[MicroBatcher[Detection]]:
    options = {"max_batch_images": 8, "max_queue_images": 64} | limits
    scorer.batches += [1] * WARM_UP_BATCHES
    batcher = MicroBatcher(scorer.score_canonical, observer=record or Record(), **options)
    try:
        yield batcher
    finally:
        await batcher.close()


def images(count: int, seed: int = 0) -> Float32Array:
    return to_canonical(random_pixels(count, 8, 8, 3, seed=seed), (3, 8, 8))


def start(batcher: MicroBatcher[Detection], batch: Float32Array, **options: Any) -> asyncio.Task[tuple[Detection, ...]]:
    return asyncio.create_task(batcher.score(batch, **options))


def scores(parts: tuple[Detection, ...]) -> Float32Array:
    return np.concatenate([part.scores for part in parts])


async def test_an_idle_batcher_computes_at_once_and_alone() -> None:
    scorer, record = GatedScorer(), Record()
    async with batching(scorer, record) as batcher:
        for count in (1, 3, 8):
            (part,) = await batcher.score(images(count))
            assert len(part.scores) == count
    assert record.batches == [1, 3, 8]


async def test_requests_that_wait_are_joined_and_get_their_own_answers() -> None:
    scorer, record = GatedScorer(), Record()
    async with batching(scorer, record) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            waiting = [start(batcher, images(count, seed=count)) for count in (1, 2, 3)]
            await asyncio.sleep(0)
        await first
        answers = await asyncio.gather(*waiting)
    assert record.batches == [1, 6]
    assert len(record.waits) == 4
    for count, parts in zip((1, 2, 3), answers, strict=True):
        alone = BrightnessScorer().score_canonical(images(count, seed=count))
        np.testing.assert_array_equal(scores(parts), alone.scores)
        np.testing.assert_array_equal(parts[0].profile.logits, alone.profile.logits)
        assert parts[0].verdicts == alone.verdicts


async def test_a_large_request_is_split_and_small_ones_overtake_it() -> None:
    scorer = GatedScorer()
    finished: list[str] = []
    async with batching(scorer) as batcher:
        with scorer.closed():
            large = start(batcher, images(30, seed=1))
            large.add_done_callback(lambda _: finished.append("large"))
            await scorer.entered(WARM_UP_BATCHES + 1)
            small = start(batcher, images(2, seed=2))
            small.add_done_callback(lambda _: finished.append("small"))
            await asyncio.sleep(0)
        parts = await large
        await small
    assert finished == ["small", "large"]
    assert max(scorer.batches) == 8
    assert sum(scorer.batches[WARM_UP_BATCHES:]) == 32
    np.testing.assert_array_equal(scores(parts), BrightnessScorer().score_canonical(images(30, seed=1)).scores)


async def test_callers_get_equal_parts_of_a_batch_whatever_they_ask_for() -> None:
    scorer = GatedScorer()
    finished: list[str] = []
    async with batching(scorer) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            greedy = [start(batcher, images(8, seed=i), caller=ANN) for i in range(4)]
            modest = start(batcher, images(7, seed=9), caller=BEN)
            modest.add_done_callback(lambda _: finished.append("modest"))
            greedy[1].add_done_callback(lambda _: finished.append("greedy"))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*greedy, modest)
        await first
    assert finished == ["modest", "greedy"]
    assert scorer.batches[WARM_UP_BATCHES:] == [1, 8, 8, 8, 8, 7]
    for seed, parts in zip([0, 1, 2, 3, 9], answers, strict=True):
        alone = BrightnessScorer().score_canonical(images(len(scores(parts)), seed=seed))
        np.testing.assert_array_equal(scores(parts), alone.scores)


async def test_a_request_may_be_in_a_batch_twice_and_keeps_its_order() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            large = start(batcher, images(7, seed=1), caller=ANN)
            small = start(batcher, images(1, seed=2), caller=BEN)
            await asyncio.sleep(0)
        parts = await large
        await asyncio.gather(first, small)
    assert scorer.batches[WARM_UP_BATCHES:] == [1, 8]
    assert len(parts) == 2
    np.testing.assert_array_equal(scores(parts), BrightnessScorer().score_canonical(images(7, seed=1)).scores)


async def test_bulk_waits_for_what_is_urgent() -> None:
    scorer = GatedScorer()
    finished: list[str] = []
    async with batching(scorer) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            tasks = {
                "bulk": start(batcher, images(2, seed=1), caller=Caller("ann", Priority.BULK)),
                "urgent": start(batcher, images(8, seed=2), caller=ANN),
            }
            tasks["bulk"].add_done_callback(lambda _: finished.append("bulk"))
            tasks["urgent"].add_done_callback(lambda _: finished.append("urgent"))
            await asyncio.sleep(0)
        await asyncio.gather(first, *tasks.values())
    assert finished == ["urgent", "bulk"]


async def test_a_cancelled_request_is_not_computed_and_hurts_nobody() -> None:
    scorer, record = GatedScorer(), Record()
    async with batching(scorer, record) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            gone, stays = start(batcher, images(3)), start(batcher, images(2))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
        await first
        assert len(scores(await stays)) == 2
    assert gone.cancelled()
    assert record.batches == [1, 2]


async def test_a_request_cancelled_while_computed_hurts_nobody() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            gone, stays = start(batcher, images(3)), start(batcher, images(2))
            await asyncio.sleep(0)
            scorer._gate.set()
            await first
            scorer._gate.clear()
            await scorer.entered(WARM_UP_BATCHES + 2)
            gone.cancel()
        assert len(scores(await stays)) == 2
        assert len(scores(await batcher.score(images(4)))) == 4


async def test_a_request_whose_deadline_passed_is_not_computed() -> None:
    scorer, record = GatedScorer(), Record()
    async with batching(scorer, record) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            late, patient = start(batcher, images(3), time_left=0.01), start(batcher, images(2), time_left=60)
            await asyncio.sleep(0.05)
        await first
        with pytest.raises(DeadlineError):
            await late
        assert len(scores(await patient)) == 2
    assert record.batches == [1, 2]


async def test_a_failing_request_fails_alone() -> None:
    scorer = GatedScorer()
    black = np.zeros((2, 3, 8, 8), np.float32)
    async with batching(scorer) as batcher:
        with scorer.closed():
            first = start(batcher, images(1))
            await scorer.entered(WARM_UP_BATCHES + 1)
            bad, good = start(batcher, black), start(batcher, images(2, seed=5))
            await asyncio.sleep(0)
        await first
        with pytest.raises(RuntimeError, match="black"):
            await bad
        np.testing.assert_array_equal(scores(await good), BrightnessScorer().score_canonical(images(2, seed=5)).scores)
        assert len(scores(await batcher.score(images(1)))) == 1


async def test_a_full_batcher_refuses_and_says_when_to_come_back() -> None:
    scorer, record = GatedScorer(), Record()
    async with batching(scorer, record, max_queue_images=10) as batcher:
        with ExitStack() as places:
            places.enter_context(batcher.admit(7, ANN))
            places.enter_context(batcher.admit(3, BEN))
            with pytest.raises(OverloadedError) as caught, batcher.admit(1, ANN):
                pass
            assert caught.value.retry_after == 1.0  # nothing is known of the engine's speed yet
            await batcher.score(images(8))
            with pytest.raises(OverloadedError) as caught, batcher.admit(1, ANN):
                pass
            assert 0.05 <= caught.value.retry_after < 1.0
        with batcher.admit(10, ANN):
            pass
    assert record.places == [7, 10, 7, 0, 10, 0]


async def test_closing_finishes_what_was_admitted_and_admits_no_more() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        with scorer.closed():
            tasks = [start(batcher, images(5, seed=i)) for i in range(3)]
            await scorer.entered(WARM_UP_BATCHES + 1)
            closing = asyncio.create_task(batcher.close())
            await asyncio.sleep(0)
            with pytest.raises(NotReadyError), batcher.admit(1, ANN):
                pass
        assert [len(scores(await task)) for task in tasks] == [5, 5, 5]
        await closing


async def test_what_would_wait_too_long_is_refused_once_the_engines_speed_is_known() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_wait=0.05) as batcher:
        with scorer.closed():
            first = asyncio.create_task(_admitted(batcher, 8))
            await scorer.entered(WARM_UP_BATCHES + 1)
            with batcher.admit(8, Caller("unknown speed")):
                pass
            await asyncio.sleep(0.4)  # eight images take at least so long
        await first
        with (
            batcher.admit(8, Caller("one")),
            pytest.raises(OverloadedError, match="the 8 images ahead take about"),
            batcher.admit(1, Caller("other")),
        ):
            pass


async def _admitted(batcher: MicroBatcher[Detection], count: int) -> tuple[Detection, ...]:
    with batcher.admit(count, Caller()):
        return await batcher.score(images(count))
