"""What is counted of a classifier that runs elsewhere; docs/metrics.md describes each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from prometheus_client import Counter, Gauge, Histogram

from detector.classifiers.breaker import BreakerState
from detector.classifiers.remote_calls import CallOutcome
from service.metrics import SECONDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from detector.classifiers.remote_calls import RemoteObserver
    from service.canaries import CanaryMetrics

_LEVELS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class UpstreamMetrics:
    """Calls of classifiers that run elsewhere: of the bundle that answers, and of one that is being loaded beside it.

    Args:
        registry: Where they are collected.
        canaries: Are told of stored inputs that were shown to the classifier.
    """

    def __init__(self, registry: CollectorRegistry, canaries: CanaryMetrics) -> None:
        self.checked = canaries.checked
        self._calls = Counter(
            "isthmus_upstream_calls_total", "Calls of the upstream classifier.", ("outcome",), registry=registry
        )
        for outcome in CallOutcome:
            self._calls.labels(outcome)
        self._seconds = Histogram(
            "isthmus_upstream_seconds",
            "Time a call of the upstream classifier takes.",
            buckets=SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "isthmus_upstream_retries_total",
            "Calls of the upstream classifier that were repeated.",
            registry=registry,
        )
        self._breaker = Gauge(
            "isthmus_upstream_breaker_state",
            "The upstream classifier's circuit breaker: 0 closed, 1 half-open, 2 open.",
            registry=registry,
        )
        self._watched: WeakSet[_Watched] = WeakSet()
        self._breaker.set_function(lambda: max((_LEVELS[one.state] for one in set(self._watched)), default=0))

    def observer(self) -> RemoteObserver:
        """Who is told about one more classifier; forgotten with it."""
        watched = _Watched(self)
        self._watched.add(watched)
        return watched

    def called(self, outcome: CallOutcome, seconds: float) -> None:
        """A call ended."""
        self._calls.labels(outcome).inc()
        self._seconds.observe(seconds)

    def retried(self) -> None:
        """A call is made again."""
        self._retries.inc()


class _Watched:
    """One classifier that runs elsewhere. Implements `RemoteObserver`."""

    def __init__(self, metrics: UpstreamMetrics) -> None:
        self.called, self.retried, self.checked = metrics.called, metrics.retried, metrics.checked
        self.state = BreakerState.CLOSED

    def breaker(self, state: BreakerState) -> None:
        """The breaker is in another state."""
        self.state = state
