"""What happens around every RPC: errors become statuses, calls are counted, timed, traced and logged."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import re
import time
import uuid
from abc import abstractmethod
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
import structlog

from service import status
from service.wire import deserialized

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from detector.errors import IsthmusError
    from service.metrics import RpcMetrics
    from service.tracing import Tracer

    Handler = Any  # grpc.RpcMethodHandler; its published types leave out what aio puts into it
    Context = grpc.aio.ServicerContext[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]
    _Finish = Callable[["_Call", grpc.StatusCode, float, str], None]

REQUEST_ID_KEY: Final = "x-request-id"
# A deadline runs out later here than at the caller, by the time the call was under way: a call that is cancelled so
# close to its deadline is one whose caller ran out of time.
_UNDER_WAY_SECONDS: Final = 0.1
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
# Request ids are this and a count: as unique as a random number per call, at a fraction of its cost.
_PROCESS_ID: Final = uuid.uuid4().hex[:16]
_CALLS: Final = itertools.count()
# Probes and tools call these all the time; they are counted, but logged only when debugging.
_QUIET_SERVICES: Final = ("grpc.health.", "grpc.reflection.")
_KINDS: Final = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}

_log = structlog.get_logger(__name__)


class _WrappingInterceptor(grpc.aio.ServerInterceptor):
    """Gives every method another handler, made when it is first called: gRPC asks at each call."""

    def __init__(self) -> None:
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """The method's handler within its other one."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method; its name is the caller's, and must be kept nowhere
            return None
        inner, wrapped = self._wrapped.get(handler_call_details.method, (None, None))
        if inner is not handler:
            wrapped = self.wrapped(handler, handler_call_details.method)
            self._wrapped[handler_call_details.method] = handler, wrapped
        return wrapped

    @abstractmethod
    def wrapped(self, handler: Handler, path: str) -> Handler:
        """The other handler of the method at a path."""


class ErrorInterceptor(_WrappingInterceptor):
    """Turns `detector.errors` into statuses with google.rpc details. What is unexpected is logged, not shown."""

    def wrapped(self, handler: Handler, path: str) -> Handler:
        """Unary methods, and streams both ways; what streams one way answers errors by itself."""
        del path
        if handler.request_streaming and handler.response_streaming:
            return _guarded_stream(handler)
        if handler.request_streaming or handler.response_streaming:
            return handler

        async def answer(message: bytes, context: Context) -> Any:
            try:
                request = deserialized(handler.request_deserializer or bytes, message)
                return await handler.unary_unary(request, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # noqa: BLE001 - the last resort of every method
                await _abort(context, status.public(error))

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)


class ObservingInterceptor(_WrappingInterceptor):
    """Counts, times, traces and logs every call, and gives it a request id (the caller's own if there is one).

    Args:
        metrics: Where calls are counted.
        tracer: Traces calls, but for probes and tools; None traces nothing.
    """

    def __init__(self, metrics: RpcMetrics, tracer: Tracer | None = None) -> None:
        super().__init__()
        self._metrics, self._tracer = metrics, tracer

    def wrapped(self, handler: Handler, path: str) -> Handler:
        """Methods of all four kinds."""
        kind = (handler.request_streaming, handler.response_streaming)
        call = _Call.of(path, _KINDS[kind])
        name = f"{'stream' if kind[0] else 'unary'}_{'stream' if kind[1] else 'unary'}"
        make = getattr(grpc, f"{name}_rpc_method_handler")
        return make(
            self._observing(getattr(handler, name), call), handler.request_deserializer, handler.response_serializer
        )

    def _observing(self, behaviour: Callable[..., Any], call: _Call) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(behaviour):

            async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
                with self._observed(call, context, self._finish):
                    async with aclosing(behaviour(request, context)) as responses:
                        async for response in responses:
                            yield response

            return stream

        async def single(request: Any, context: Context) -> Any:
            with self._observed(call, context, self._finish_soon):
                return await behaviour(request, context)

        return single

    @contextmanager
    def _observed(self, call: _Call, context: Context, finish: _Finish) -> Iterator[None]:
        request_id = _request_id(context)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        span = None
        if self._tracer is not None and not call.service.startswith(_QUIET_SERVICES):
            span = self._tracer.begin(call.service, call.method, context.invocation_metadata() or (), request_id)
        peer = context.peer()  # asked now: a stream that is let go of may outlive its call
        self._metrics.started.labels(*call).inc()
        started = time.perf_counter()
        code = grpc.StatusCode.UNKNOWN
        try:
            yield
            code = status.status_code(context.code())
        except asyncio.CancelledError:
            code = _why_cancelled(context)
            raise
        except GeneratorExit:  # nobody takes the stream's answers any more
            code = grpc.StatusCode.CANCELLED
            raise
        except grpc.aio.AbortError:
            code = status.status_code(context.code())
            raise
        finally:
            finish(call, code, time.perf_counter() - started, peer)
            if span is not None:
                span.end(code)

    def _finish_soon(self, call: _Call, code: grpc.StatusCode, seconds: float, peer: str) -> None:
        """Once the answer is on its way: the caller need not wait until its call is counted and logged."""
        asyncio.get_running_loop().call_soon(self._finish, call, code, seconds, peer)

    def _finish(self, call: _Call, code: grpc.StatusCode, seconds: float, peer: str) -> None:
        self._metrics.handled.labels(*call, code.name).inc()
        self._metrics.seconds.labels(*call).observe(seconds)
        log = _log.debug if call.service.startswith(_QUIET_SERVICES) else _log.info
        log(
            "rpc",
            method=f"{call.service}/{call.method}",
            code=code.name,
            seconds=round(seconds, 6),
            peer=peer,
        )


class _Call(NamedTuple):
    """The labels of an RPC."""

    kind: str
    service: str
    method: str

    @classmethod
    def of(cls, path: str, kind: str) -> _Call:
        service, _, method = path.removeprefix("/").rpartition("/")
        return cls(kind, service, method)


def _guarded_stream(handler: Handler) -> Handler:
    """A stream whose last error becomes its status; requests that fail one by one are the method's own matter."""

    async def answers(messages: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        try:
            async with aclosing(handler.stream_stream(messages, context)) as responses:
                async for response in responses:
                    yield response
        except (asyncio.CancelledError, grpc.aio.AbortError, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort of every method
            await _abort(context, status.public(error))

    return grpc.stream_stream_rpc_method_handler(answers, handler.request_deserializer, handler.response_serializer)


async def _abort(context: Context, error: IsthmusError) -> None:
    answer = status.to_status(error)
    await context.abort(
        status.status_code(answer.code),
        answer.message,
        (*context.trailing_metadata(), (status.DETAILS_KEY, answer.SerializeToString())),
    )


def _why_cancelled(context: Context) -> grpc.StatusCode:
    left = context.time_remaining()  # None without a deadline, whatever grpc's types say
    late = left is not None and left <= _UNDER_WAY_SECONDS
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{_PROCESS_ID}{next(_CALLS):016x}"
