from __future__ import annotations

import grpc
import pytest
from google.rpc import status_pb2

from detector.errors import (
    ClassifierError,
    DeadlineError,
    InvalidInputError,
    IsthmusError,
    LimitExceededError,
    NotReadyError,
    OverloadedError,
    QuotaError,
    ServiceFailedError,
    UpstreamUnavailableError,
)
from service.status import from_status, is_public, public, reason, to_status

ERRORS = [
    (InvalidInputError("has: colons", field="encoded.images[3]"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
    (LimitExceededError("9 images", field="tensor"), grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"),
    (OverloadedError("full", retry_after=0.25), grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (QuotaError("used up", retry_after=3), grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"),
    (NotReadyError("starting"), grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
    (UpstreamUnavailableError("away", retry_after=2.5), grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    (DeadlineError("too late"), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize(("error", "code", "name"), ERRORS)
def test_an_error_survives_the_wire(error: IsthmusError, code: grpc.StatusCode, name: str) -> None:
    status = to_status(error)
    assert (status.code, status.message) == (code.value[0], str(error))
    assert reason(error) == name
    found = from_status(status)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


def test_where_the_classifier_runs_is_not_told_and_when_to_try_again_is() -> None:
    told = public(UpstreamUnavailableError("10.0.0.7:8001: refused", retry_after=2.5))
    assert isinstance(told, UpstreamUnavailableError)
    assert "10.0.0.7" not in str(told)
    assert told.retry_after == 2.5


@pytest.mark.parametrize("error", [ClassifierError("graph failed"), RuntimeError("x"), IsthmusError("x")])
def test_what_a_caller_can_not_cause_is_not_public(error: Exception) -> None:
    assert not is_public(error)
    assert reason(error) == "INTERNAL"


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)", LimitExceededError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "concurrent RPC limit exceeded", OverloadedError),
        (grpc.StatusCode.UNAVAILABLE, "failed to connect", NotReadyError),
        (grpc.StatusCode.INVALID_ARGUMENT, "no", InvalidInputError),
        (grpc.StatusCode.PERMISSION_DENIED, "no", ServiceFailedError),
    ],
)
def test_statuses_of_others_are_understood(code: grpc.StatusCode, text: str, kind: type[IsthmusError]) -> None:
    found = from_status(status_pb2.Status(code=code.value[0], message=text))
    assert type(found) is kind
    assert text in str(found)
