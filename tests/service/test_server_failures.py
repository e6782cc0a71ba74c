from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from detector.errors import (
    BundleError,
    BundleIntegrityError,
    DeadlineError,
    OverloadedError,
    ServiceFailedError,
    SettingsError,
)
from service.client import AsyncClient
from service.server import RunningServer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, StartServer, random_pixels, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from service.settings import ServiceSettings
    from tests.support.brightness import BrightnessScorer

PIXELS = random_pixels(4, 8, 8, 3)
BLACK = np.zeros((1, 8, 8, 3), np.uint8)


async def test_a_port_in_use_is_a_clear_error_and_leaves_the_metrics_port_free(server: RunningServer) -> None:
    with pytest.raises(SettingsError, match=f"port: can't listen on port {server.port} of 127.0.0.1"):
        async with RunningServer(settings_for_tests(port=server.port, metrics_enabled=True)):
            pass


async def test_a_metrics_port_in_use_is_a_clear_error(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True)
    with pytest.raises(SettingsError, match=f"metrics_port: can't listen on port {server.metrics_port}"):
        async with RunningServer(settings_for_tests(metrics_enabled=True, metrics_port=server.metrics_port)):
            pass


async def test_a_refused_bundle_ends_the_start_and_frees_the_ports(tmp_path: Path) -> None:
    failing = RunningServer(settings_for_tests(bundle=tmp_path / "none", metrics_enabled=True))
    with pytest.raises(BundleError, match="none"):
        async with failing:
            pass
    async with RunningServer(
        settings_for_tests(port=failing.port, metrics_enabled=True, metrics_port=failing.metrics_port),
        load=lambda _: GatedScorer(),
    ) as server:
        assert server.port == failing.port


async def test_a_failing_warm_up_is_not_hidden() -> None:
    def load(_: ServiceSettings) -> BrightnessScorer:
        raise BundleIntegrityError("scorer.onnx: altered")

    with pytest.raises(BundleIntegrityError, match=r"scorer\.onnx"):
        async with RunningServer(settings_for_tests(), load=load):
            pass


async def test_an_engine_failure_shows_an_id_only_and_others_go_on(start_server: StartServer) -> None:
    server = await start_server(GatedScorer())
    async with AsyncClient(server.target) as client:
        with pytest.raises(ServiceFailedError, match=r"internal error [0-9a-f]{32}; the service's log") as caught:
            await client.score(BLACK)
        assert "secret" not in str(caught.value)
        assert len(await client.score(PIXELS)) == 4


async def test_an_overloaded_server_says_when_to_come_back(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, max_images=4, max_queue_images=6)
    async with AsyncClient(server.target) as client:
        await client.describe()
        with scorer.closed():
            first = asyncio.create_task(client.score(PIXELS))
            await scorer.entered(WARM_UP_BATCHES + 1)
            with pytest.raises(OverloadedError, match="4 images are being served") as caught:
                await client.score(PIXELS)
            assert 0 < caught.value.retry_after <= 30
        assert len(await first) == 4
        assert len(await client.score(PIXELS)) == 4


async def test_a_deadline_ends_the_wait_and_the_work(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer)
    async with AsyncClient(server.target) as patient, AsyncClient(server.target, timeout=1) as hasty:
        await patient.describe()
        await hasty.describe()
        with scorer.closed():
            first = asyncio.create_task(patient.score(PIXELS[:1]))
            await scorer.entered(WARM_UP_BATCHES + 1)
            with pytest.raises(DeadlineError):
                await hasty.score(PIXELS[:2])
            mate = asyncio.create_task(patient.score(PIXELS[:3]))
            await asyncio.sleep(0.1)
        await first
        assert len(await mate) == 3
    assert scorer.batches[WARM_UP_BATCHES:] == [1, 3]


async def test_a_cancelled_call_is_not_computed(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer)
    async with AsyncClient(server.target) as client:
        await client.describe()
        with scorer.closed():
            first = asyncio.create_task(client.score(PIXELS[:1]))
            await scorer.entered(WARM_UP_BATCHES + 1)
            gone = asyncio.create_task(client.score(PIXELS[:2]))
            await asyncio.sleep(0.1)
            gone.cancel()
            mate = asyncio.create_task(client.score(PIXELS[:3]))
            await asyncio.sleep(0.1)
        await first
        assert len(await mate) == 3
    assert scorer.batches[WARM_UP_BATCHES:] == [1, 3]


async def test_an_unknown_method_is_unimplemented(server: RunningServer) -> None:
    async with grpc.aio.insecure_channel(server.target) as channel:
        for path in ("/isthmus.v1.AdversarialDetector/Nothing", "/no.such.Service/Score"):
            method: Any = channel.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
