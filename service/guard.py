"""The guard: everything between a request and its reply, without the transport."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from structlog.contextvars import get_contextvars

from detector.errors import NotReadyError, WithheldError
from detector.versions import project_version
from isthmus.v1 import detector_pb2 as pb
from service import policy, replies, status, tracing
from service.answers import Answers
from service.batching import AnsweredBatch, MicroBatcher
from service.callers import Caller, Priority
from service.convert import RequestLimits
from service.flagged import flagged_images
from service.reader import RequestReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from detector import Detection
    from detector.classifiers.base import Float32Array
    from service.audit import AuditLog
    from service.batching import BatchObserver
    from service.flagged import RecentFlagged
    from service.metrics import GuardMetrics
    from service.ports import LoadedBundle, Scorer
    from service.quota import Quota
    from service.settings import ServiceSettings

Answer = TypeVar("Answer")
Batch = TypeVar("Batch", bound=AnsweredBatch)

# A reply of more images is built off the event loop.
_INLINE_IMAGES: Final = 16
_CANARIES: Final = Caller("canaries", Priority.BULK)


class Guard:
    """Answers requests with a loaded detector. Made and used on one event loop.

    Args:
        scorer: The detector.
        settings: Limits and sizes.
        metrics: Are told of every image.
        quota: What callers may ask about.
        recent: Is told of flagged images.
        audit: Likewise, and of what was sent; None where nobody is.
    """

    def __init__(
        self,
        scorer: Scorer,
        settings: ServiceSettings,
        metrics: GuardMetrics,
        *,
        quota: Quota,
        recent: RecentFlagged,
        audit: AuditLog | None,
    ) -> None:
        self._bundle = scorer.bundle
        self._canary_deviations = scorer.canary_deviations.copy()
        self._limits = RequestLimits.of(settings)
        self._metrics = metrics
        self._quota = quota
        self._recent, self._audit = recent, audit
        self._withheld = policy.withheld_verdicts(settings)
        self._reader = RequestReader(scorer.bundle.manifest.spec.shape, self._limits, threads=settings.decode_threads)
        # How long another server takes next time can't be told from how long it took.
        inline_seconds = settings.inline_seconds if scorer.bundle.manifest.remote is None else 0.0
        self._batcher = _batcher(scorer.score_canonical, settings, metrics, inline_seconds)
        self._classifier = _batcher(scorer.classify_canonical, settings, metrics.classifier, inline_seconds)

    async def score(self, request: pb.ScoreRequest, *, caller: str, time_left: float | None) -> pb.ScoreResponse:
        """Answer a request.

        Args:
            request: From anyone.
            caller: Who asks, as callers are told apart.
            time_left: Seconds until the caller gives up; None for never.

        Raises:
            InvalidInputError, LimitExceededError: The request, or (unless it asks for reports per image) one of its
                images, is wrong.
            OverloadedError: There is no room.
            DeadlineError: The caller's time passed.
            WithheldError: An image is flagged and its prediction withheld (unless it asks for reports per image).
        """
        return await self._counted(request, self._score(request, _caller(request, caller), time_left))

    async def detections(
        self, request: pb.ScoreRequest, *, caller: str, time_left: float | None
    ) -> tuple[Detection, ...]:
        """The answers to a request, in any number of parts; arguments and errors as for `score`."""
        return await self._counted(request, self._detections(request, _caller(request, caller), time_left))

    async def logits(
        self, request: pb.ScoreRequest, *, caller: str, time_left: float | None
    ) -> tuple[Float32Array, ...]:
        """The classifier's logits alone, in any number of parts; arguments and errors as for `score`."""
        return await self._counted(request, self._logits(request, _caller(request, caller), time_left))

    async def check_canary(self, turn: int) -> None:
        """Put one of the bundle's canaries through the engine, after all that waits for it.

        Args:
            turn: Which one; they take turns.

        Raises:
            ClassifierMismatchError: It does not give its stored answer.
        """
        canaries = self._bundle.canaries
        index = turn % len(canaries)
        canary = canaries[index : index + 1]
        self._canary_deviations[index] = math.inf  # unless it answers
        (answer,) = await self._batcher.score(canary.images, caller=_CANARIES)
        (self._canary_deviations[index],) = canary.deviations(answer.logits)
        canary.check(answer.logits)

    @property
    def canary_deviation(self) -> float:
        """The largest of all canaries' newest answers' differences from the stored ones, where 1 is what is allowed."""
        return float(self._canary_deviations.max())

    @property
    def bundle(self) -> LoadedBundle:
        """What is loaded."""
        return self._bundle

    def describe(self) -> pb.GetDetectorResponse:
        """Describe the detector."""
        return replies.detector_response(self._bundle, self._limits, version=project_version())

    async def retire(self) -> None:
        """Finish the requests in hand, which may still be read, then close: another guard gets the new ones."""
        for batcher in (self._batcher, self._classifier):
            await batcher.emptied()
        await self.close()

    async def close(self) -> None:
        """Finish what waits for the engine and end the threads."""
        for batcher in (self._batcher, self._classifier):
            await batcher.close()
        self._reader.close()

    async def _counted(self, request: pb.ScoreRequest, answer: Awaitable[Answer]) -> Answer:
        """Count the images of a request that fails."""
        try:
            return await answer
        except WithheldError:  # its images were scored
            raise
        except (Exception, asyncio.CancelledError) as error:
            self._metrics.rejected(status.reason(error), _claimed_images(request, self._limits))
            raise

    async def _detections(
        self, request: pb.ScoreRequest, caller: Caller, time_left: float | None
    ) -> tuple[Detection, ...]:
        count = self._count(request, caller)
        with self._batcher.admit(count, caller):
            answers, _ = await self._answers(request, count, caller, time_left)
            return answers.detections

    async def _logits(
        self, request: pb.ScoreRequest, caller: Caller, time_left: float | None
    ) -> tuple[Float32Array, ...]:
        count = self._count(request, caller)
        with self._classifier.admit(count, caller):
            inputs = await self._reader.read(request, count)
            return await self._classifier.score(inputs.images, caller=caller, time_left=time_left)

    def _count(self, request: pb.ScoreRequest, caller: Caller) -> int:
        """The images of a request, checked but for their pixels, and counted against the caller's quota."""
        count = self._reader.count(request)
        self._quota.take(caller.name, count)
        return count

    async def _answers(
        self, request: pb.ScoreRequest, count: int, caller: Caller, time_left: float | None
    ) -> tuple[Answers, Mapping[int, WithheldError]]:
        """The answers to an admitted request, and what is said instead of some of them."""
        with tracing.step("read images", images=count):
            inputs = await self._reader.read(request, count)
        with tracing.step("score images", images=len(inputs.images)):
            parts = (
                await self._batcher.score(inputs.images, caller=caller, time_left=time_left)
                if len(inputs.images)
                else ()
            )
        answers = Answers(parts, inputs.errors)
        # The caller need not wait until its images are counted.
        asyncio.get_running_loop().call_soon(self._tell, request, answers, caller)
        withheld = policy.withheld(request, answers, self._withheld)
        self._metrics.withheld(len(withheld))
        if withheld and request.bad_image_policy != pb.BAD_IMAGE_POLICY_REPORT_PER_IMAGE:
            raise withheld[min(withheld)]
        return answers, withheld

    def _tell(self, request: pb.ScoreRequest, answers: Answers, caller: Caller) -> None:
        """Count images, and pass flagged ones on."""
        self._metrics.scored(answers.detections)
        for error in answers.unread.values():
            self._metrics.rejected(status.reason(error), 1)
        flagged = flagged_images(
            answers,
            caller=caller.name,
            request_id=str(get_contextvars().get("request_id", "")),
            withheld=self._withheld,
            bundle_digest=self._bundle.digest,
        )
        self._recent.add(flagged)
        if self._audit is not None:
            self._audit.record(request, flagged)

    async def _score(self, request: pb.ScoreRequest, caller: Caller, time_left: float | None) -> pb.ScoreResponse:
        count = self._count(request, caller)
        with self._batcher.admit(count, caller):
            answers, withheld = await self._answers(request, count, caller, time_left)
            reply = partial(replies.score_response, request, self._bundle, answers, withheld)
            return reply() if count <= _INLINE_IMAGES else await self._reader.run(reply)


class GuardSlot:
    """Where the guard is once it is loaded, and until the service stops."""

    def __init__(self) -> None:
        self._guard: Guard | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is a guard."""
        return self._guard is not None

    @property
    def guard(self) -> Guard:
        """The guard.

        Raises:
            NotReadyError: It is not loaded yet.
        """
        if self._guard is None:
            raise NotReadyError("the detector is being loaded; try again in a moment, or watch grpc.health.v1")
        return self._guard

    def put(self, guard: Guard) -> Guard | None:
        """Start answering with `guard`; gives back the one before, which may have requests in hand."""
        replaced, self._guard = self._guard, guard
        return replaced

    async def close(self) -> None:
        """Close the guard, if there is one."""
        if self._guard is not None:
            await self._guard.close()


def _batcher(
    engine: Callable[[Float32Array], Batch], settings: ServiceSettings, observer: BatchObserver, inline_seconds: float
) -> MicroBatcher[Batch]:
    return MicroBatcher(
        engine,
        max_batch_images=settings.max_batch_images,
        max_queue_images=settings.max_queue_images,
        observer=observer,
        max_wait=settings.max_queue_seconds or math.inf,
        inline_seconds=inline_seconds,
    )


def _caller(request: pb.ScoreRequest, name: str) -> Caller:
    bulk = request.priority == pb.PRIORITY_BULK
    return Caller(name, Priority.BULK if bulk else Priority.INTERACTIVE)


def _claimed_images(request: pb.ScoreRequest, limits: RequestLimits) -> int:
    """How many images a refused request held, as far as can be told."""
    shape = request.tensor.shape
    in_tensor = shape[0] if shape and shape[0] <= limits.max_images else 1  # a header may claim anything
    return max(1, len(request.encoded.images), in_tensor)
