"""Whether the running classifier still is the calibrated one: stored inputs, now and then, must give stored answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from service.guard import GuardSlot

_OUTCOMES: Final = {True: "passed", False: "failed"}

_log = structlog.get_logger(__name__)


class CanaryMetrics:
    """Checks of the classifier: at every load, and while it runs.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = Counter(
            "isthmus_canary_checks_total",
            "Checks that the running classifier gives the bundle's stored answers.",
            ("outcome",),
            registry=registry,
        )
        for outcome in _OUTCOMES.values():
            self._checks.labels(outcome)

        self._deviation = Gauge(
            "isthmus_canary_deviation_ratio",
            "How far the newest answers to the canaries are from the stored ones at most, where 1 is what is allowed.",
            registry=registry,
        )

    def checked(self, deviation: float) -> None:
        """A check ended.

        Args:
            deviation: Of what was shown, as `detector.bundle.Canaries.deviations` has it.
        """
        self.counted(passed=deviation <= 1)
        self.deviates(deviation)

    def counted(self, *, passed: bool) -> None:
        """A check ended."""
        self._checks.labels(_OUTCOMES[passed]).inc()

    def deviates(self, deviation: float) -> None:
        """How far the newest answers to all canaries are from the stored ones at most, where 1 is what is allowed."""
        self._deviation.set(deviation)


class CanaryWatch:
    """Shows one stored input after the other to the engine that answers, for as long as it is not closed.

    Args:
        slot: Where the guard is.
        interval: Seconds between two of them; 0 shows none.
        metrics: Are told of every check.
    """

    def __init__(self, slot: GuardSlot, *, interval: float, metrics: CanaryMetrics) -> None:
        self._slot, self._interval, self._metrics = slot, interval, metrics
        self._turn = 0
        self._task: asyncio.Task[Any] | None = asyncio.ensure_future(self._watch()) if interval else None

    async def close(self) -> None:
        """Show no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._check()

    async def _check(self) -> None:
        guard = self._slot.guard
        if guard.bundle.manifest.remote is not None:  # it shows them itself, and is shut out where one fails
            return
        self._turn += 1
        try:
            await guard.check_canary(self._turn)
        except Exception as error:  # noqa: BLE001 - an engine that fails is not the calibrated one either
            self._metrics.counted(passed=False)
            _log.error("canary failed", reason=str(error), bundle_digest=guard.bundle.digest)
        else:
            self._metrics.counted(passed=True)
        self._metrics.deviates(guard.canary_deviation)
