"""Traces: a span for every call and for its steps, sent to an OpenTelemetry collector.

What is sent where is set by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`,
`OTEL_SERVICE_NAME`, ...). The packages are an extra, and loaded only where a service is traced.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from detector.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    Metadata = Iterable[tuple[str, str | bytes]]

# Codes that are the server's fault, by OpenTelemetry's conventions for gRPC servers.
_FAULTS: Final = frozenset({
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
})  # fmt: skip


class CallSpan(Protocol):
    """The span of a call that is under way."""

    def end(self, code: grpc.StatusCode) -> None:
        """The call ended."""
        ...


class Tracer:
    """Traces calls.

    Raises:
        MissingExtraError: OpenTelemetry's packages are not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import context, propagate, trace
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingExtraError("opentelemetry", extra="tracing", purpose="tracing") from error
        self._context, self._propagate, self._trace = context, propagate, trace
        name = os.environ.get("OTEL_SERVICE_NAME", "isthmus")
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("isthmus")

    def begin(self, service: str, method: str, metadata: Metadata, request_id: str) -> CallSpan:
        """Start the span of a call, a child of the caller's own if its metadata names one.

        Steps within the same task, and within tasks it starts, become children of the span.

        Args:
            service: The gRPC service's full name.
            method: The method's name.
            metadata: The call's, which may hold `traceparent`.
            request_id: Of the call.
        """
        parent = self._propagate.extract({key: value for key, value in metadata if isinstance(value, str)})
        span = self._tracer.start_span(
            f"{service}/{method}",
            context=parent,
            kind=self._trace.SpanKind.SERVER,
            attributes={
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": method,
                "isthmus.request_id": request_id,
            },
        )
        # Never detached: gRPC runs each call in a task, and so in a context, of its own.
        self._context.attach(self._trace.set_span_in_context(span))
        _current.set(self)
        return _CallSpan(span, self._trace.Status(self._trace.StatusCode.ERROR))

    @contextmanager
    def step(self, name: str, attributes: dict[str, int]) -> Iterator[None]:
        """A span within the current one."""
        with self._tracer.start_as_current_span(name, attributes=attributes, record_exception=False):
            yield

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.shutdown()


class _CallSpan:
    def __init__(self, span: Any, failed: Any) -> None:
        self._span, self._failed = span, failed

    def end(self, code: grpc.StatusCode) -> None:
        self._span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in _FAULTS:
            self._span.set_status(self._failed)
        self._span.end()


_current: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
_NOTHING: Final = nullcontext()


def step(name: str, **attributes: int) -> AbstractContextManager[None]:
    """A span within the call that is being answered; nothing where calls are not traced."""
    tracer = _current.get()
    return _NOTHING if tracer is None else tracer.step(name, attributes)
