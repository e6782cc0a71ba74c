"""Readiness, as grpc.health.v1 tells it: for the whole server ("") and for the detector's service.

Written here because the servicer of grpcio-health-checking forgets all watchers of a name when one of them leaves, and
because its watchers' open calls hold up a graceful stop until the grace is over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from isthmus.v1 import detector_pb2 as pb

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

DETECTOR_SERVICE: Final[str] = pb.DESCRIPTOR.services_by_name["AdversarialDetector"].full_name
HEALTH_SERVICE: Final[str] = health.SERVICE_NAME
INFERENCE_SERVICE: Final = "inference.GRPCInferenceService"
_NAMES: Final = ("", DETECTOR_SERVICE, INFERENCE_SERVICE)
_Reply: Final = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # generated without types
    """Says NOT_SERVING until told otherwise, and for good once stopping."""

    def __init__(self) -> None:
        self._serving = False
        self._stopping = False
        self._closed = False
        self._changed = asyncio.Event()  # a new one after every change

    @property
    def is_serving(self) -> bool:
        """Whether it says SERVING now."""
        return self._serving

    @property
    def state(self) -> str:
        """For people: ``loading``, ``serving`` or ``draining``."""
        if self._stopping:
            return "draining"
        return "serving" if self._serving else "loading"

    def serving(self) -> None:
        """From now on say SERVING, unless the server is stopping already."""
        self._set(serving=not self._stopping)

    def stopping(self) -> None:
        """From now on say NOT_SERVING, whatever happens."""
        self._stopping = True
        self._set(serving=False)

    def close(self) -> None:
        """End the watchers' calls."""
        self._closed = True
        self._set(serving=False)

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:  # noqa: N802 - the proto's name
        """Whether a service answers now."""
        if request.service not in _NAMES:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, "no such service; ask for one of " + ", ".join(map(repr, _NAMES))
            )
        return self._reply(request.service)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802 - the proto's name
        """Whether a service answers, now and at every change."""
        told = None
        while True:
            changed = self._changed  # taken before the status, so that no change in between is missed
            reply = self._reply(request.service)
            if reply != told:
                await context.write(reply)
                told = reply
            if self._closed:
                return
            await changed.wait()

    def _set(self, *, serving: bool) -> None:
        self._serving = serving
        self._changed.set()
        self._changed = asyncio.Event()

    def _reply(self, service: str) -> health_pb2.HealthCheckResponse:
        if service not in _NAMES:
            return _Reply(status=_Reply.SERVICE_UNKNOWN)
        return _Reply(status=_Reply.SERVING if self._serving else _Reply.NOT_SERVING)
