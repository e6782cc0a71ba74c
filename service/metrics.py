"""Prometheus metrics, on a registry of their own; docs/metrics.md describes each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from detector.classifiers.breaker import BreakerState
from detector.classifiers.remote_calls import CallOutcome
from detector.verdicts import Verdict
from detector.versions import project_version
from service.audit import LossReason
from service.status import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector import Detection, TargetRates
    from detector.classifiers.remote_calls import RemoteObserver
    from service.ports import LoadedBundle

# Classes beyond these share one label: a classifier of 1,000 classes must not make 3,000 series of every counter.
MAX_CLASS_LABELS: Final = 100
OTHER_CLASSES: Final = "other"

_RPC_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_P_VALUE_STEPS: Final = 20
_OUTCOMES: Final = {True: "loaded", False: "refused"}
_BREAKER_LEVELS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
# Supervised scores stay below about ten; one-class scores grow with the number of points walked.
_SCORES: Final = (0, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)


def new_registry() -> CollectorRegistry:
    """An empty registry, but for the process's own memory, CPU time and open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class RpcMetrics:
    """Calls, under the names that dashboards for gRPC servers know.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter("grpc_server_started_total", "RPCs started.", _RPC_LABELS, registry=registry)
        self.handled = Counter(
            "grpc_server_handled_total",
            "RPCs finished, whatever their status.",
            (*_RPC_LABELS, "grpc_code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the start of an RPC's handler to its end.",
            _RPC_LABELS,
            buckets=_SECONDS,
            registry=registry,
        )


class ReloadMetrics:
    """Bundles loaded while serving.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reloads = Counter(
            "isthmus_reloads_total", "Tries to load a bundle while serving.", ("outcome",), registry=registry
        )
        for outcome in _OUTCOMES.values():
            self._reloads.labels(outcome)

    def tried(self, *, loaded: bool) -> None:
        """A bundle was loaded, or refused."""
        self._reloads.labels(_OUTCOMES[loaded]).inc()


class AuditMetrics:
    """What became of flagged images' entries. Implements `service.audit.AuditObserver`.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._entries = Counter("isthmus_audit_entries_total", "Lines written to the audit log.", registry=registry)
        self._lost = Counter(
            "isthmus_audit_lost_total",
            "Entries, or images for the quarantine, that could not be written, by reason.",
            ("reason",),
            registry=registry,
        )
        for reason in LossReason:
            self._lost.labels(reason)

    def audited(self) -> None:
        """An entry was written."""
        self._entries.inc()

    def audit_lost(self, reason: LossReason) -> None:
        """An entry or its image was not."""
        self._lost.labels(reason).inc()


class UpstreamMetrics:
    """Calls of classifiers that run elsewhere: of the bundle that answers, and of one that is being loaded beside it.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "isthmus_upstream_calls_total", "Calls of the upstream classifier.", ("outcome",), registry=registry
        )
        for outcome in CallOutcome:
            self._calls.labels(outcome)
        self._seconds = Histogram(
            "isthmus_upstream_seconds",
            "Time a call of the upstream classifier takes.",
            buckets=_SECONDS,
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
        self._breaker.set_function(lambda: max((_BREAKER_LEVELS[one.state] for one in set(self._watched)), default=0))

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
        self.called, self.retried = metrics.called, metrics.retried
        self.state = BreakerState.CLOSED

    def breaker(self, state: BreakerState) -> None:
        """The breaker is in another state."""
        self.state = state


class GuardMetrics:
    """What the detector sees, answers and costs. Implements `service.batching.BatchObserver`.

    Args:
        registry: Where they are collected.
        bundle: The detector that is loaded.

    Attributes:
        classifier: Is told what the classifier does alone.
    """

    def __init__(self, registry: CollectorRegistry, bundle: LoadedBundle) -> None:
        self._info = Info("isthmus_detector", "The detector that is loaded.", registry=registry)
        self.classifier = _ClassifierWork(self)
        self._loaded = Gauge(
            "isthmus_bundle_loaded_timestamp_seconds", "When the bundle was loaded, Unix time.", registry=registry
        )
        self._add_answers(registry, bundle)
        self._add_work(registry)
        self.loaded(bundle)

    def loaded(self, bundle: LoadedBundle) -> None:
        """From now on this detector answers; what was counted stays."""
        self._forwards_per_image = bundle.manifest.plan.forwards_per_image
        self._classes = frozenset(bundle.manifest.labels[:MAX_CLASS_LABELS])
        scorer = bundle.manifest.calibration.scorer
        self._info.info({"bundle_digest": bundle.digest, "version": project_version(), "scorer": scorer})
        self._loaded.set_to_current_time()
        for label in dict.fromkeys(map(self._class, bundle.manifest.labels)):  # all series, so that rates begin at zero
            for verdict in Verdict:
                self._verdicts.labels(label, verdict)

    def _add_answers(self, registry: CollectorRegistry, bundle: LoadedBundle) -> None:
        self._verdicts = Counter(
            "isthmus_verdicts_total", "Verdicts given.", ("predicted_class", "verdict"), registry=registry
        )
        self._p_values = Histogram(
            "isthmus_p_value",
            "p-values; the detector's two target rates are among the edges.",
            buckets=_p_value_edges(bundle.manifest.rates),
            registry=registry,
        )
        self._scores = Histogram(
            "isthmus_score", "Scores, nats; higher is more adversarial.", buckets=_SCORES, registry=registry
        )
        self._images = Counter("isthmus_images_total", "Images scored.", registry=registry)
        self._rejected = Counter(
            "isthmus_rejected_images_total", "Images that got no score, by reason.", ("reason",), registry=registry
        )
        for reason in REASONS:
            self._rejected.labels(reason.lower())
        self._withheld = Counter(
            "isthmus_withheld_images_total", "Images scored whose predictions were withheld.", registry=registry
        )

    def _add_work(self, registry: CollectorRegistry) -> None:
        self._forwards = Counter(
            "isthmus_classifier_forwards_total",
            "Images the classifier was asked about, on paths too.",
            registry=registry,
        )
        self._classified = Counter(
            "isthmus_classified_images_total",
            "Images answered by the classifier alone, without a score.",
            registry=registry,
        )
        self._batches = Histogram(
            "isthmus_batch_images", "Images per batch of the engine.", buckets=_BATCH_SIZES, registry=registry
        )
        self._queue = Gauge(
            "isthmus_queue_images", "Images in the service now, from admission to answer.", registry=registry
        )
        self._queue_seconds = Histogram(
            "isthmus_queue_seconds",
            "Time a request's images wait for the engine, after they were read.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._engine_seconds = Histogram(
            "isthmus_engine_seconds", "Time the engine takes for a batch.", buckets=_SECONDS, registry=registry
        )

    def admitted(self, images: int) -> None:
        """So many images are in the service now."""
        self._queue.set(images)

    def waited(self, seconds: float) -> None:
        """A request waited so long for the engine."""
        self._queue_seconds.observe(seconds)

    def computed(self, images: int, seconds: float) -> None:
        """The engine scored a batch."""
        self._batches.observe(images)
        self._engine_seconds.observe(seconds)
        self._forwards.inc(images * self._forwards_per_image)

    def classified(self, images: int) -> None:
        """The classifier alone answered a batch."""
        self._classified.inc(images)
        self._forwards.inc(images)

    def scored(self, detections: Iterable[Detection]) -> None:
        """Images were answered."""
        for detection in detections:
            self._images.inc(len(detection.scores))
            for label, verdict in zip(detection.labels, detection.verdicts, strict=True):
                self._verdicts.labels(self._class(label), verdict).inc()
            for p_value in detection.p_values.tolist():
                self._p_values.observe(p_value)
            for score in detection.scores.tolist():
                self._scores.observe(score)

    def withheld(self, images: int) -> None:
        """So many predictions were withheld."""
        self._withheld.inc(images)

    def _class(self, label: str) -> str:
        """What a class is called here; answers of a bundle that was just replaced may have classes of its own."""
        return label if label in self._classes else OTHER_CLASSES

    def rejected(self, reason: str, images: int) -> None:
        """Images got no score; `reason` is a name from `service.status.reason`."""
        self._rejected.labels(reason.lower()).inc(images)


class _ClassifierWork:
    """What the classifier does alone. Implements `service.batching.BatchObserver`."""

    def __init__(self, metrics: GuardMetrics) -> None:
        self._metrics = metrics

    def admitted(self, images: int) -> None:
        """The queue's metric is the guard's."""

    def waited(self, seconds: float) -> None:
        """Likewise."""

    def computed(self, images: int, seconds: float) -> None:
        """A batch was answered."""
        del seconds
        self._metrics.classified(images)


def _p_value_edges(rates: TargetRates) -> list[float]:
    linear = (step / _P_VALUE_STEPS for step in range(1, _P_VALUE_STEPS + 1))
    return sorted({*linear, rates.adversarial, rates.suspect})
