"""What docs/kubernetes.md says of connections and replicas, shown on two servers."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc
from service.server import RunningServer
from tests.service.support import settings_for_tests
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLS = 20
ROUND_ROBIN = ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}))


@pytest.fixture
async def replicas() -> AsyncIterator[list[RunningServer]]:
    async with AsyncExitStack() as stack:
        servers = [RunningServer(settings_for_tests(), load=lambda _: BrightnessScorer()) for _ in range(2)]
        yield [await stack.enter_async_context(server) for server in servers]


async def _answered(replicas: list[RunningServer], *options: tuple[str, Any]) -> list[int]:
    """How many of a client's calls each replica answered; it knows both addresses, as from a headless Service."""
    started = [_count(server) for server in replicas]
    target = "ipv4:" + ",".join(server.target for server in replicas)
    async with grpc.aio.insecure_channel(target, options=list(options)) as channel:
        await channel.channel_ready()
        stub: Any = detector_pb2_grpc.AdversarialDetectorStub(channel)
        for _ in range(CALLS):
            await stub.GetDetector(pb.GetDetectorRequest())
    return [_count(server) - before for server, before in zip(replicas, started, strict=True)]


def _count(server: RunningServer) -> int:
    """Calls a replica was asked, by its own metrics."""
    labels = {
        "grpc_type": "unary",
        "grpc_service": "isthmus.v1.AdversarialDetector",
        "grpc_method": "GetDetector",
    }
    return int(server._registry.get_sample_value("grpc_server_started_total", labels) or 0)


async def test_a_connection_stays_with_one_replica(replicas: list[RunningServer]) -> None:
    assert sorted(await _answered(replicas)) == [0, CALLS]


async def test_a_client_that_balances_uses_all(replicas: list[RunningServer]) -> None:
    answered = await _answered(replicas, ROUND_ROBIN)
    assert sum(answered) == CALLS
    # The second connection may be made a few calls later than the first.
    assert min(answered) >= CALLS // 4
