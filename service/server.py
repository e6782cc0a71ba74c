"""The server: starts, becomes ready, drains and stops."""

from __future__ import annotations

import asyncio
import signal
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
import numpy as np
import structlog
from grpc_health.v1 import health_pb2_grpc

from detector.bundle import read_bundle
from detector.errors import ClassifierMismatchError, SettingsError, UpstreamUnavailableError
from service.audit import open_audit_log
from service.canaries import CanaryMetrics, CanaryWatch
from service.connections import connection_options
from service.exposition import MetricsServer
from service.flagged import RecentFlagged
from service.guard import Guard, GuardSlot
from service.health import HealthServicer
from service.history import History
from service.identity import AuthInterceptor, Tokens
from service.inference import InferenceServicer
from service.interceptors import ErrorInterceptor, ObservingInterceptor
from service.loading import start_detector
from service.logs import configure_logging
from service.metrics import (
    AuditMetrics,
    GuardMetrics,
    ReloadMetrics,
    RpcMetrics,
    new_registry,
    show_readiness,
)
from service.operator_page import OperatorPage
from service.quota import Quota
from service.reflecting import enable_reflection
from service.reloading import Reloader, written_at
from service.servicer import DetectorServicer
from service.tls import server_credentials
from service.tracing import Tracer
from service.upstream_metrics import UpstreamMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.remote_calls import RemoteObserver
    from service.audit import AuditLog
    from service.ports import Scorer
    from service.settings import ServiceSettings

_UNLIMITED: Final = -1
_WAITS: Final = (1.0, 15.0)

_log = structlog.get_logger(__name__)


class RunningServer:
    """A server, for as long as the ``async with`` block lasts; inside the block it is ready to answer.

    Args:
        settings: All that can be set.
        load: Loads the detector; called in a worker thread. None loads the bundle.
    """

    def __init__(self, settings: ServiceSettings, *, load: Callable[[ServiceSettings], Scorer] | None = None) -> None:
        self._settings = settings
        self._load = load or self._load_bundle
        self._registry = new_registry()
        self._rpc_metrics = RpcMetrics(self._registry, settings.latency_objective)
        self._canary_metrics = CanaryMetrics(self._registry)
        self._slot = GuardSlot()
        self._quota = Quota(settings.quota_images_per_minute, clock=time.monotonic)
        self._health = HealthServicer()
        show_readiness(self._registry, lambda: self._health.is_serving)
        self._recent = RecentFlagged()
        self._audit: AuditLog | None = None
        self._tracer: Tracer | None = None
        self._guard_metrics: GuardMetrics | None = None
        self._reloader: Reloader | None = None
        self._canaries: CanaryWatch | None = None
        self._history: History | None = None
        self._metrics_server: MetricsServer | None = None
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def metrics_port(self) -> int | None:
        """The port that serves metrics; None where they are off."""
        return self._metrics_server.port if self._metrics_server else None

    @property
    def target(self) -> str:
        """What a client on this machine connects to."""
        return _address(self._settings.host, self.port)

    async def listen(self) -> None:
        """Answer health checks and metrics; all else is refused as UNAVAILABLE until `make_ready`.

        Raises:
            SettingsError: An address can't be listened on, or a file not be used.
            MissingExtraError: A setting needs packages that are not installed.
        """
        settings = self._settings
        self._audit = open_audit_log(settings, AuditMetrics(self._registry))
        if settings.metrics_enabled:
            self._metrics_server = MetricsServer(self._registry, host=settings.metrics_host, port=settings.metrics_port)
            if settings.operator_page:
                self._show_page(self._metrics_server)
        credentials = server_credentials(settings)
        self._tracer = Tracer() if settings.tracing else None
        self._server = _new_server(settings, self._rpc_metrics, self._tracer)
        streaming = {"max_images": settings.max_images, "at_once": settings.stream_requests}
        DetectorServicer(self._slot, **streaming).add_to(self._server)
        InferenceServicer(
            self._slot, model=settings.model_name, classifier=settings.classifier_model, **streaming
        ).add_to(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            enable_reflection(self._server)
        self.port = _bind(self._server, settings, credentials)
        await self._server.start()
        _log.info("loading", bundle=str(settings.bundle), address=self.target)

    async def make_ready(self) -> None:
        """Load the detector and warm it up, then answer everything.

        Waits, for as long as it takes, for a classifier that runs elsewhere and can't be asked yet.

        Raises:
            BundleError: The bundle is refused, or a remote classifier is not the calibrated one.
            ClassifierError: A remote classifier answers with an error.
        """
        guard = await self._first_guard()
        self._slot.put(guard)
        self._reloader = Reloader(
            self._settings.bundle,
            interval=self._settings.watch_interval,
            load=lambda: asyncio.ensure_future(self._load_guard()),
            slot=self._slot,
            metrics=ReloadMetrics(self._registry),
        )
        self._canaries = CanaryWatch(self._slot, interval=self._settings.canary_interval, metrics=self._canary_metrics)
        self._health.serving()
        _log.info(
            "listening",
            address=self.target,
            port=self.port,
            metrics_port=self.metrics_port,
            bundle_digest=guard.bundle.digest,
        )

    def reload(self) -> None:
        """Load the bundle again, soon; the old one answers until the new one is checked, and stays if that is bad."""
        if self._reloader is not None:
            self._reloader.reload()

    async def stop(self) -> None:
        """Say NOT_SERVING, wait for load balancers to notice, refuse new requests, finish those in flight."""
        self._health.stopping()
        if self._server is not None:
            _log.info("draining", drain_delay=self._settings.drain_delay, grace=self._settings.grace)
            await asyncio.sleep(self._settings.drain_delay)
            self._health.close()
            await self._server.stop(self._settings.grace)
        for background in (self._reloader, self._canaries):
            if background is not None:
                await background.close()
        await self._close()
        _log.info("stopped")

    async def __aenter__(self) -> Self:
        try:
            await self.listen()
            await self.make_ready()
        except BaseException:
            await self._abandon()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _show_page(self, server: MetricsServer) -> None:
        self._history = History(self._registry)
        server.show(OperatorPage(self._settings, self._registry, self._health, self._slot, self._recent, self._history))

    async def _first_guard(self) -> Guard:
        least, most = _WAITS
        while True:
            try:
                return await self._load_guard()
            except UpstreamUnavailableError as error:
                seconds = min(max(error.retry_after, least), most)
                _log.warning("waiting for the classifier", reason=str(error), seconds=seconds)
                await asyncio.sleep(seconds)

    async def _load_guard(self) -> Guard:
        """A guard that is checked and warm, and whose answers are counted from now on."""
        settings = self._settings
        written = written_at(settings.bundle)
        scorer = await self._load_checked()
        if self._guard_metrics is None:
            self._guard_metrics = GuardMetrics(self._registry, scorer.bundle, settings, written_at=written)
        else:
            self._guard_metrics.loaded(scorer.bundle, written_at=written)
        return Guard(scorer, settings, self._guard_metrics, quota=self._quota, recent=self._recent, audit=self._audit)

    async def _load_checked(self) -> Scorer:
        """A detector that gave the bundle's stored answers, or refused to be loaded; it is warm."""
        try:
            scorer = await asyncio.to_thread(self._load_warm)
        except ClassifierMismatchError as error:
            self._canary_metrics.checked(error.deviation)
            raise
        self._canary_metrics.checked(float(scorer.canary_deviations.max()))
        return scorer

    @cached_property
    def _upstream_metrics(self) -> UpstreamMetrics:
        """Shown from when a bundle's classifier runs elsewhere."""
        return UpstreamMetrics(self._registry, self._canary_metrics)

    def _upstream_observer(self) -> RemoteObserver:
        return self._upstream_metrics.observer()

    def _load_bundle(self, settings: ServiceSettings) -> Scorer:
        bundle = read_bundle(settings.bundle).with_rates(
            suspect=settings.suspect_rate, adversarial=settings.adversarial_rate
        )
        return start_detector(
            bundle,
            settings,
            threads=settings.threads,
            engine=settings.engine,
            observer=self._upstream_observer,
            canary_tolerance=settings.canary_tolerance,
        )

    def _load_warm(self) -> Scorer:
        scorer = self._load(self._settings)
        for count in sorted({1, self._settings.max_batch_images}):  # the first caller shall not pay for first-time work
            images = np.zeros((count, *scorer.bundle.manifest.spec.shape), np.float32)
            scorer.score_canonical(images)
            if self._settings.classifier_model:
                scorer.classify_canonical(images)
        scorer.bundle.output_name  # noqa: B018 - is read off the graph, which would hold up the event loop later
        return scorer

    async def _abandon(self) -> None:
        """Let go of the ports after a failed start; there is nobody to drain for."""
        if self._server is not None:
            await self._server.stop(None)
        await self._close()

    async def _close(self) -> None:
        """Let go of what is behind the port, in the order in which it leans on each other."""
        if self._history is not None:
            await self._history.close()
        await self._slot.close()
        if self._audit is not None:
            await asyncio.to_thread(self._audit.close)
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.stop)


async def serve(settings: ServiceSettings, *, load: Callable[[ServiceSettings], Scorer] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; SIGHUP loads the bundle again. Sets up logging.

    Args:
        settings: All that can be set.
        load: As for `RunningServer`.

    Raises:
        SettingsError: An address can't be listened on.
        BundleError: The bundle is refused, or a remote classifier is not the calibrated one.
        ClassifierError: A remote classifier answers with an error.
    """
    configure_logging(level=settings.log_level, style=settings.log_format)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = RunningServer(settings, load=load)
    if not await _started(server, stopped):
        return
    try:
        loop.add_signal_handler(signal.SIGHUP, server.reload)
        await stopped.wait()
        loop.remove_signal_handler(signal.SIGHUP)
    finally:
        await server.stop()


async def _started(server: RunningServer, stopped: asyncio.Event) -> bool:
    """Start a server, unless it is stopped before it is ready: a remote classifier may let it wait for long."""
    starting = asyncio.ensure_future(server.__aenter__())
    stopping = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
    if starting.cancelled():
        _log.info("stopped")
        return False
    starting.result()
    return True


def _new_server(settings: ServiceSettings, metrics: RpcMetrics, tracer: Tracer | None) -> grpc.aio.Server:
    options: list[tuple[str, Any]] = [
        ("grpc.so_reuseport", 0),  # else a second server would take half of the connections without a word
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", _UNLIMITED),
        *connection_options(max_age=settings.max_connection_age),
    ]
    interceptors: list[grpc.aio.ServerInterceptor] = [ObservingInterceptor(metrics, tracer), ErrorInterceptor()]
    if settings.auth_tokens is not None:
        interceptors.append(AuthInterceptor(Tokens(settings.auth_tokens)))
    return grpc.aio.server(interceptors=interceptors, options=options)


def _bind(server: grpc.aio.Server, settings: ServiceSettings, credentials: grpc.ServerCredentials | None) -> int:
    address = _address(settings.host, settings.port)
    try:
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise SettingsError(
            f"port: can't listen on port {settings.port} of {settings.host}: in use, or not this machine's address;"
            " set another, or 0 for any free"
        ) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
