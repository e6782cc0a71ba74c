"""Micro-batching: images of several requests share the engine's batches while it is busy; nobody waits when it is idle.

One thread runs the engine. Whatever arrives meanwhile is joined into the next batch: urgent work first, each caller who
waits getting an equal part of it. A request larger than its part is split; its rest queues up again behind its caller's
other requests, so that small requests overtake large ones.

Where requests come one by one, and are soon computed, most of them are computed on the event loop itself: waking
another thread and being woken by it would be a good part of what a small request pays for the service.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np

from detector.errors import DeadlineError, NotReadyError
from service.admission import Admission
from service.callers import Caller
from service.solitude import Solitude
from service.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from detector.classifiers.base import Float32Array

_RATE_MEMORY: Final = 0.8
_ANYBODY: Final = Caller()


class AnsweredBatch(Protocol):
    """The answers to some images, in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Any: ...


A = TypeVar("A", bound=AnsweredBatch)


class BatchObserver(Protocol):
    """Is told what the batcher does; called on the event loop."""

    def admitted(self, images: int) -> None:
        """So many images are in the service now."""

    def waited(self, seconds: float) -> None:
        """A request waited so long for the engine."""

    def computed(self, images: int, seconds: float) -> None:
        """The engine scored a batch."""


@dataclass(eq=False)
class _Job(Generic[A]):
    """One request's images on their way through the engine."""

    images: Float32Array
    caller: Caller
    deadline: float
    queued_at: float
    answer: asyncio.Future[tuple[A, ...]]
    taken: int = 0
    parts: list[A] = field(default_factory=list)


@dataclass(frozen=True)
class _Slice(Generic[A]):
    """The images of one job that go into one batch."""

    job: _Job[A]
    images: Float32Array


class MicroBatcher(Generic[A]):
    """Puts images through an engine, in batches, on one worker thread. Belongs to the event loop it was started on.

    Args:
        engine: Answers images, float32 (N, channels, height, width).
        max_batch_images: Images it is given at once.
        max_queue_images: Images admitted at the same time.
        observer: Is told what happens.
        max_wait: Seconds that urgent images may have to wait for those ahead of them.
        inline_seconds: For so long a request may hold up the event loop, where they come one by one; 0 never.
    """

    def __init__(
        self,
        engine: Callable[[Float32Array], A],
        *,
        max_batch_images: int,
        max_queue_images: int,
        observer: BatchObserver,
        max_wait: float = math.inf,
        inline_seconds: float = 0.0,
    ) -> None:
        self._answer = engine
        self._max_batch_images = max_batch_images
        self._inline_seconds = inline_seconds
        self._observer = observer
        self._admission = Admission(
            max_queue_images, seconds_for=self._seconds_for, observer=observer.admitted, max_wait=max_wait
        )
        self._waiting: Turns[_Job[A]] = Turns()
        self._arrived = asyncio.Event()
        self._closing = False
        self._solitude = Solitude()
        self._images_per_second = math.nan
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._loop = asyncio.get_running_loop()
        self._runner = self._loop.create_task(self._run(), name="micro-batcher")

    def admit(self, images: int, caller: Caller) -> AbstractContextManager[None]:
        """Hold places for a request's images, from before they are read until they are answered.

        Raises:
            OverloadedError: There are not so many places, or not for this caller.
            NotReadyError: The batcher is closing.
        """
        self._solitude.came()
        if self._closing:
            raise NotReadyError("the service is stopping; call another replica")
        return self._admission.places(images, caller)

    async def score(
        self, images: Float32Array, *, caller: Caller = _ANYBODY, time_left: float | None = None
    ) -> tuple[A, ...]:
        """Score admitted images.

        Args:
            images: float32 (N, channels, height, width), checked, N >= 1.
            caller: Whose they are.
            time_left: Seconds until the caller gives up; images whose caller has given up are not computed.

        Returns:
            The answers in order, in as many parts as batches were needed.

        Raises:
            DeadlineError: `time_left` passed before the engine got to the images.
        """
        now = self._loop.time()
        deadline = math.inf if time_left is None else now + time_left
        if deadline > now and self._is_for_the_event_loop(len(images)):
            return (self._score_inline(images, now),)
        job: _Job[A] = _Job(images, caller, deadline, now, self._loop.create_future())
        self._waiting.add(caller, job)
        self._arrived.set()
        try:
            return await job.answer
        finally:
            self._waiting.drop(caller, job)  # if its caller went away: let go of the images at once

    async def emptied(self) -> None:
        """Wait until no request holds a place."""
        await self._admission.emptied()

    async def close(self) -> None:
        """Admit no more, finish what was admitted to the queue, end the worker thread."""
        self._closing = True
        self._arrived.set()
        await self._runner
        self._engine.shutdown()

    def _is_for_the_event_loop(self, images: int) -> bool:
        """Whether so many new images may be computed there."""
        return (
            self._solitude.certain
            and 0 < self._seconds_for(images) <= self._inline_seconds
            and images <= self._max_batch_images
            and self._is_alone(images)
        )

    def _is_alone(self, images: int) -> bool:
        """Whether there are no images but so many, which belong to one request."""
        return not self._waiting and self._admission.admitted <= images

    def _score_inline(self, images: Float32Array, started: float) -> A:
        self._solitude.deaf()
        answers = self._answer(images)
        self._learn(len(images), self._loop.time() - started)
        self._loop.call_soon(self._observer.waited, 0.0)
        return answers

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            elif batch := self._next_batch():
                await self._compute(batch)

    def _next_batch(self) -> list[_Slice[A]]:
        batch: list[_Slice[A]] = []
        room = self._max_batch_images
        self._waiting.begin_batch()
        while self._waiting and room:
            share = -(-room // self._waiting.callers)  # callers who wait get equal parts of what is left
            job = self._waiting.take()
            if self._is_dead(job):
                continue
            if not job.taken:
                self._observer.waited(self._loop.time() - job.queued_at)
            images = job.images[job.taken : job.taken + share]
            batch.append(_Slice(job, images))
            job.taken += len(images)
            room -= len(images)
            if job.taken < len(job.images):
                self._waiting.add(job.caller, job)
        return batch

    def _is_dead(self, job: _Job[A]) -> bool:
        """Whether nobody waits for the job any more: cancelled, failed in an earlier batch, or too late."""
        if not job.answer.done() and job.deadline <= self._loop.time():
            job.answer.set_exception(DeadlineError("the deadline passed while the images waited for the engine"))
        return job.answer.done()

    async def _compute(self, batch: Sequence[_Slice[A]]) -> None:
        started = self._loop.time()
        count = sum(len(piece.images) for piece in batch)
        try:
            with self._solitude.listening(alone=len(batch) == 1 and self._is_alone(count)):
                answers = await self._loop.run_in_executor(self._engine, self._score, batch)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises belongs to the callers, not to this loop
            await self._after_failure(batch, error)
            return
        seconds = self._loop.time() - started
        for piece, answer in zip(batch, answers, strict=True):
            _deliver(piece.job, answer)
        self._learn(count, seconds)

    async def _after_failure(self, batch: Sequence[_Slice[A]], error: Exception) -> None:
        """Give a request that was alone its error; separate the others, so that one bad one fails nobody else."""
        if len(batch) == 1:
            if not batch[0].job.answer.done():
                batch[0].job.answer.set_exception(error)
            return
        for piece in batch:
            if not self._is_dead(piece.job):
                await self._compute([piece])

    def _score(self, batch: Sequence[_Slice[A]]) -> list[A]:
        """In the worker thread: one call of the engine, and its answers by slice."""
        if len(batch) == 1:
            return [self._answer(batch[0].images)]
        answers = self._answer(np.concatenate([piece.images for piece in batch]))
        ends = np.cumsum([len(piece.images) for piece in batch]).tolist()
        return [answers[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _learn(self, images: int, seconds: float) -> None:
        self._loop.call_soon(self._observer.computed, images, seconds)  # callers need not wait until they are counted
        rate = images / max(seconds, 1e-9)
        known = not math.isnan(self._images_per_second)
        self._images_per_second = _RATE_MEMORY * self._images_per_second + (1 - _RATE_MEMORY) * rate if known else rate

    def _seconds_for(self, images: int) -> float:
        """Seconds in which the engine, at its recent rate, would answer so many images; 0 before it answered any."""
        return 0.0 if math.isnan(self._images_per_second) else images / self._images_per_second


def _deliver(job: _Job[A], answers: A) -> None:
    job.parts.append(answers)
    if sum(map(len, job.parts)) == len(job.images) and not job.answer.done():
        job.answer.set_result(tuple(job.parts))
