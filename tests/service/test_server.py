from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from detector.errors import NotReadyError
from service.client import AsyncClient
from service.health import DETECTOR_SERVICE, HEALTH_SERVICE
from service.server import RunningServer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, StartServer, random_pixels, settings_for_tests

if TYPE_CHECKING:
    from service.settings import ServiceSettings

PIXELS = random_pixels(3, 8, 8, 3)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(target: str, service: str = "") -> int:
    async with grpc.aio.insecure_channel(target) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return int(reply.status)


async def test_not_serving_until_the_detector_is_loaded_and_warm() -> None:
    may_load = threading.Event()
    scorer = GatedScorer()

    def load(_: ServiceSettings) -> GatedScorer:
        assert may_load.wait(20)
        return scorer

    server = RunningServer(settings_for_tests(max_batch_images=16), load=load)
    await server.listen()
    loading = asyncio.create_task(server.make_ready())
    async with AsyncClient(server.target) as client:
        for service in ("", DETECTOR_SERVICE):
            assert await health(server.target, service) == NOT_SERVING
        with pytest.raises(NotReadyError, match="being loaded"):
            await client.score(PIXELS)
        may_load.set()
        await loading
        assert scorer.batches == [1, 16]
        for service in ("", DETECTOR_SERVICE):
            assert await health(server.target, service) == SERVING
        assert len(await client.score(PIXELS)) == 3
    await server.stop()


async def test_reflection_names_the_services_and_gives_the_protos(server: RunningServer) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=DETECTOR_SERVICE),
    ]
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, described = [reply async for reply in stub.ServerReflectionInfo(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert {DETECTOR_SERVICE, HEALTH_SERVICE} <= names
    files = described.file_descriptor_response.file_descriptor_proto
    assert "isthmus/v1/detector.proto" in {FileDescriptorProto.FromString(file).name for file in files}


async def test_reflection_can_be_turned_off(start_server: StartServer) -> None:
    server = await start_server(reflection=False)
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ServerReflectionInfo().read()  # nothing is written: a write may cross the refusal and hide it
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_stopping_says_not_serving_then_drains_then_refuses() -> None:
    scorer = GatedScorer()
    server = RunningServer(settings_for_tests(drain_delay=0.3), load=lambda _: scorer)
    await server.listen()
    await server.make_ready()
    async with AsyncClient(server.target) as client, grpc.aio.insecure_channel(server.target) as channel:
        await client.describe()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        with scorer.closed():
            in_flight = asyncio.create_task(client.score(PIXELS))
            await scorer.entered(WARM_UP_BATCHES + 1)
            stopping = asyncio.create_task(server.stop())
            assert (await watch.read()).status == NOT_SERVING
            assert await health(server.target, DETECTOR_SERVICE) == NOT_SERVING
            late = asyncio.create_task(client.score(PIXELS))  # load balancers have not noticed yet
            await asyncio.sleep(0.6)
            with pytest.raises(NotReadyError):
                await client.score(PIXELS)
            assert not stopping.done()
        assert len(await in_flight) == len(await late) == 3
        await stopping
        with pytest.raises(NotReadyError):
            await client.score(PIXELS)


async def test_grace_ends_requests_that_never_finish() -> None:
    scorer = GatedScorer()
    server = RunningServer(settings_for_tests(grace=0.2), load=lambda _: scorer)
    await server.listen()
    await server.make_ready()
    async with AsyncClient(server.target) as client:
        with scorer.closed():
            stuck = asyncio.create_task(client.score(PIXELS))
            await scorer.entered(WARM_UP_BATCHES + 1)
            stopping = asyncio.create_task(server.stop())
            with pytest.raises(NotReadyError):
                await stuck
        await stopping


async def test_a_free_port_is_taken_and_told(start_server: StartServer) -> None:
    first, second = await start_server(), await start_server()
    assert 0 < first.port != second.port > 0
    assert await health(first.target) == await health(second.target) == SERVING


async def test_a_server_answers_on_ipv6(start_server: StartServer) -> None:
    try:
        server = await start_server(host="::1")
    except Exception as error:  # noqa: BLE001 - only to tell whether this machine can
        pytest.skip(f"no IPv6 here: {error}")
    assert server.target == f"[::1]:{server.port}"
    assert await health(server.target) == SERVING


async def test_without_metrics_no_port_is_taken(start_server: StartServer) -> None:
    assert (await start_server(metrics_enabled=False)).metrics_port is None


async def test_a_watcher_holds_up_nothing_and_hears_all_though_another_left() -> None:
    server = RunningServer(settings_for_tests(grace=20), load=lambda _: GatedScorer())
    await server.listen()
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        leaves, stays, lost = (
            stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", "", "no.such.Service")
        )
        assert (await leaves.read()).status == (await stays.read()).status == NOT_SERVING
        assert (await lost.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        leaves.cancel()
        await server.make_ready()
        assert (await stays.read()).status == SERVING
        async with asyncio.timeout(5):
            await server.stop()
        assert (await stays.read()).status == NOT_SERVING
        assert await stays.read() is grpc.aio.EOF
        assert await stays.code() is await lost.code() is grpc.StatusCode.OK


async def test_the_health_of_an_unknown_service_is_not_found(server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(server.target, "no.such.Service")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
