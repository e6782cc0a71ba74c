"""Prometheus metrics, on a registry of their own; docs/metrics.md describes each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from detector.verdicts import Verdict
from detector.versions import project_version
from service.audit import LossReason
from service.drift import DriftWindow
from service.status import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from detector import Detection, TargetRates
    from service.ports import LoadedBundle
    from service.settings import ServiceSettings

# Classes beyond these share one label: a classifier of 1,000 classes must not make 3,000 series of every counter.
MAX_CLASS_LABELS: Final = 100
OTHER_CLASSES: Final = "other"

_RPC_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_P_VALUE_STEPS: Final = 20
_OUTCOMES: Final = {True: "loaded", False: "refused"}
# Supervised scores stay below about ten; one-class scores grow with the number of points walked.
_SCORES: Final = (0, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)


def new_registry() -> CollectorRegistry:
    """An empty registry, but for the process's own memory, CPU time and open files."""
    # A second series beside each counter is of no use here.
    disable_created_metrics()  # type: ignore[no-untyped-call] # its library has no type for it
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def show_readiness(registry: CollectorRegistry, is_serving: Callable[[], bool]) -> None:
    """Show whether requests are answered now."""
    ready = Gauge("isthmus_ready", "1 while requests are answered.", registry=registry)
    ready.set_function(lambda: float(is_serving()))


class RpcMetrics:
    """Calls, under the names that dashboards for gRPC servers know.

    Args:
        registry: Where they are collected.
        latency_objective: Seconds that a call should take at most; an edge of the histogram.
    """

    def __init__(self, registry: CollectorRegistry, latency_objective: float) -> None:
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
            buckets=sorted({*SECONDS, latency_objective}),
            registry=registry,
        )
        objective = Gauge(
            "isthmus_latency_objective_seconds", "What a call should take at most, as set.", registry=registry
        )
        objective.set(latency_objective)


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


class GuardMetrics:
    """What the detector sees, answers and costs. Implements `service.batching.BatchObserver`.

    Args:
        registry: Where they are collected.
        bundle: The detector that is loaded.
        settings: Its limits are shown beside what they limit.
        written_at: When the bundle was written, Unix time; NaN where that is not known.

    Attributes:
        classifier: Is told what the classifier does alone.
    """

    def __init__(
        self, registry: CollectorRegistry, bundle: LoadedBundle, settings: ServiceSettings, *, written_at: float
    ) -> None:
        self._info = Info("isthmus_detector", "The detector that is loaded.", registry=registry)
        self.classifier = _ClassifierWork(self)
        self._loaded = Gauge(
            "isthmus_bundle_loaded_timestamp_seconds", "When the bundle was loaded, Unix time.", registry=registry
        )
        self._written = Gauge(
            "isthmus_bundle_written_timestamp_seconds",
            "When the bundle was written, as its manifest's file says, Unix time.",
            registry=registry,
        )
        self._add_answers(registry, bundle)
        self._add_drift(registry, settings.drift_window_images)
        self._add_work(registry, settings.max_queue_images)
        self.loaded(bundle, written_at=written_at)

    def loaded(self, bundle: LoadedBundle, *, written_at: float) -> None:
        """From now on this detector answers; what was counted stays."""
        self._forwards_per_image = bundle.manifest.plan.forwards_per_image
        self._classes = frozenset(bundle.manifest.labels[:MAX_CLASS_LABELS])
        scorer = bundle.manifest.calibration.scorer
        self._info.info({"bundle_digest": bundle.digest, "version": project_version(), "scorer": scorer})
        self._loaded.set_to_current_time()
        self._written.set(written_at)
        rates = bundle.manifest.rates
        for verdict, rate in ((Verdict.SUSPECT, rates.suspect), (Verdict.ADVERSARIAL, rates.adversarial)):
            self._target_rates.labels(verdict).set(rate)
        self._drift = DriftWindow(self._drift_images, bundle.manifest.calibration.images)
        for label in dict.fromkeys(map(self._class, bundle.manifest.labels)):  # all series, so that rates begin at zero
            for verdict in Verdict:
                self._verdicts.labels(label, verdict)
        for stratum in range(len(bundle.manifest.calibration.images_per_stratum)):
            for verdict in Verdict:
                self._stratum_verdicts.labels(str(stratum), verdict)

    def _add_answers(self, registry: CollectorRegistry, bundle: LoadedBundle) -> None:
        self._verdicts = Counter(
            "isthmus_verdicts_total", "Verdicts given.", ("predicted_class", "verdict"), registry=registry
        )
        self._stratum_verdicts = Counter(
            "isthmus_stratum_verdicts_total",
            "Verdicts given by stratum of difficulty, 0 the easiest.",
            ("stratum", "verdict"),
            registry=registry,
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
        self._target_rates = Gauge(
            "isthmus_target_rate",
            "Share of benign images that get this verdict or a worse one, as promised.",
            ("verdict",),
            registry=registry,
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

    def _add_drift(self, registry: CollectorRegistry, images: int) -> None:
        self._drift_images = images
        Gauge(
            "isthmus_p_value_drift",
            "Scaled Kolmogorov-Smirnov distance of the last p-values from uniform ones.",
            registry=registry,
        ).set_function(lambda: self._drift.statistic())  # noqa: PLW0108 - every load brings another window
        Gauge(
            "isthmus_p_value_drift_images", "p-values that isthmus_p_value_drift looks at.", registry=registry
        ).set_function(lambda: len(self._drift))

    def _add_work(self, registry: CollectorRegistry, queue_limit: int) -> None:
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
        Gauge("isthmus_queue_limit_images", "What isthmus_queue_images can't pass.", registry=registry).set(queue_limit)
        self._queue_seconds = Histogram(
            "isthmus_queue_seconds",
            "Time a request's images wait for the engine, after they were read.",
            buckets=SECONDS,
            registry=registry,
        )
        self._engine_seconds = Histogram(
            "isthmus_engine_seconds", "Time the engine takes for a batch.", buckets=SECONDS, registry=registry
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
            for stratum, verdict in zip(detection.strata.tolist(), detection.verdicts, strict=True):
                self._stratum_verdicts.labels(str(stratum), verdict).inc()
            self._drift.add(detection.p_values)
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
