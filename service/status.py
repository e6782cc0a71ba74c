"""Errors on the wire: the one mapping between the tree of `detector.errors` and google.rpc.Status, both ways."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from detector.errors import (
    DeadlineError,
    FieldError,
    InvalidInputError,
    IsthmusError,
    LimitExceededError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    QuotaError,
    ServiceFailedError,
    UnauthenticatedError,
    UpstreamUnavailableError,
    WithheldError,
)
from detector.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = structlog.get_logger(__name__)

DOMAIN: Final = "isthmus"
DETAILS_KEY: Final = "grpc-status-details-bin"

# What a caller can cause and may know about. Everything else is INTERNAL, and only the log says why.
_WIRE: Final[dict[type[IsthmusError], tuple[grpc.StatusCode, str]]] = {
    InvalidInputError: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
    LimitExceededError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"),
    OverloadedError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    QuotaError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"),
    NotFoundError: (grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
    UnauthenticatedError: (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    WithheldError: (grpc.StatusCode.FAILED_PRECONDITION, "WITHHELD"),
    NotReadyError: (grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
    UpstreamUnavailableError: (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    DeadlineError: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    ServiceFailedError: (grpc.StatusCode.INTERNAL, "INTERNAL"),
}
# Errors that are their text and nothing more.
_PLAIN: Final[dict[grpc.StatusCode, type[IsthmusError]]] = {
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.UNAVAILABLE: NotReadyError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
}
# Errors that say when to try again, by code and reason; an empty reason stands for any other.
_DELAYED: Final[dict[tuple[grpc.StatusCode, str], type[OverloadedError | UpstreamUnavailableError]]] = {
    (grpc.StatusCode.RESOURCE_EXHAUSTED, ""): OverloadedError,
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"): QuotaError,
    (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"): UpstreamUnavailableError,
}
CANCELLED: Final = "CANCELLED"
REASONS: Final = (*(name for _, name in _WIRE.values()), CANCELLED)
_CODES: Final[dict[object, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
_DEFAULT_RETRY_SECONDS: Final = 1.0
_UPSTREAM: Final = "the classifier behind this service is unavailable; try again later"


def is_public(error: BaseException) -> TypeGuard[IsthmusError]:
    """Whether `error` may be shown to a caller as it is."""
    return type(error) in _WIRE


def public(error: Exception) -> IsthmusError:
    """What a caller may be told of an error; of one that is unexpected, which is logged, its id alone."""
    if isinstance(error, UpstreamUnavailableError):  # where the classifier runs is not the caller's business
        return UpstreamUnavailableError(_UPSTREAM, retry_after=error.retry_after)
    if is_public(error):
        return error
    error_id = uuid.uuid4().hex
    _log.error("unexpected", error_id=error_id, exc_info=error)
    return ServiceFailedError(f"internal error {error_id}; the service's log says more")


def reason(error: BaseException) -> str:
    """The error's name on the wire and in metrics, such as ``INVALID_INPUT``; ``INTERNAL`` for all unexpected ones."""
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    return _WIRE.get(type(error), _WIRE[ServiceFailedError])[1]  # type: ignore[arg-type] # any type may be asked for


def status_code(number: object) -> grpc.StatusCode:
    """A status code from what gRPC keeps of it: the code itself, its number, or None for OK."""
    if isinstance(number, grpc.StatusCode):
        return number
    return _CODES.get(number or 0, grpc.StatusCode.UNKNOWN)


def to_status(error: IsthmusError) -> status_pb2.Status:
    """A public error as google.rpc.Status: ErrorInfo always, and BadRequest, QuotaFailure or RetryInfo as it fits."""
    code, name = _WIRE[type(error)]
    info = error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN)
    details: list[Any] = [info]
    if isinstance(error, FieldError):
        info.metadata["field"] = error.field
    if isinstance(error, InvalidInputError):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, LimitExceededError):
        quota = error_details_pb2.QuotaFailure.Violation(subject=error.field, description=str(error))
        details.append(error_details_pb2.QuotaFailure(violations=[quota]))
    elif isinstance(error, WithheldError):
        info.metadata["verdict"] = error.verdict
    elif isinstance(error, OverloadedError | UpstreamUnavailableError):
        delay = Duration()
        delay.FromMicroseconds(round(error.retry_after * 1e6))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=str(error))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def from_status(status: status_pb2.Status) -> IsthmusError:
    """The error that `to_status` was given; one guessed from the code where the details don't say."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(retry)
    field = info.metadata.get("field", "request")
    text = status.message.removeprefix(f"{field}: ")
    match status_code(status.code):
        case grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidInputError(text, field=field)
        case grpc.StatusCode.RESOURCE_EXHAUSTED if info.reason == "LIMIT_EXCEEDED" or "larger than max" in text:
            return LimitExceededError(text, field=field)
        case grpc.StatusCode.FAILED_PRECONDITION if info.metadata.get("verdict") in set(Verdict):
            return WithheldError(text, field=field, verdict=Verdict(info.metadata["verdict"]))
        case code if kind := _DELAYED.get((code, info.reason)) or _DELAYED.get((code, "")):
            seconds = retry.retry_delay.ToMicroseconds() / 1e6
            return kind(text, retry_after=seconds or _DEFAULT_RETRY_SECONDS)
        case code:
            return _PLAIN[code](text) if code in _PLAIN else ServiceFailedError(f"{code.name}: {text}")


def from_rpc_error(error: grpc.RpcError) -> IsthmusError:
    """The typed error behind a failed call, of a sync or an asyncio channel."""
    call: Any = error  # every RpcError a channel raises is also a Call; grpc's types don't say so
    trailing: Iterable[tuple[str, str | bytes]] = call.trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    return from_status(status_pb2.Status(code=call.code().value[0], message=call.details() or ""))
