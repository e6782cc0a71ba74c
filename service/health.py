"""Readiness, as grpc.health.v1 tells it: for the whole server ("") and for the detector's service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME, aio

from isthmus.v1 import detector_pb2 as pb

if TYPE_CHECKING:
    import grpc

DETECTOR_SERVICE: Final[str] = pb.DESCRIPTOR.services_by_name["AdversarialDetector"].full_name
HEALTH_SERVICE: Final[str] = SERVICE_NAME
_NAMES: Final = ("", DETECTOR_SERVICE)


class Readiness:
    """Says NOT_SERVING until told otherwise, and for good once stopping."""

    def __init__(self) -> None:
        self._servicer = aio.HealthServicer()

    async def add_to(self, server: grpc.aio.Server) -> None:
        """Answer health checks on `server`."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def serving(self) -> None:
        """The detector is loaded and warm."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def stopping(self) -> None:
        """NOT_SERVING, whatever is said later."""
        await self._servicer.enter_graceful_shutdown()

    async def _set(self, status: int) -> None:
        for name in _NAMES:
            await self._servicer.set(name, status)
