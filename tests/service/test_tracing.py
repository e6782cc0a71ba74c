"""Calls are traced: a real collector on this machine gets the spans."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc

from detector.errors import InvalidInputError
from isthmus.v1 import detector_pb2 as pb
from service.client import AsyncClient
from tests.service.support import python_environment, random_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.support import StartServer

PIXELS = random_pixels(3, 8, 8, 3)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVICE = "isthmus.v1.AdversarialDetector"


class Collector(collector_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.spans: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        del context
        for resource in request.resource_spans:
            self.names |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return collector.ExportTraceServiceResponse()

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    kept = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    collector_grpc.add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call] # generated
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield kept
    server.stop(None)


def _attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


async def test_a_call_is_a_span_of_the_callers_trace_and_its_steps_are_its_children(
    collecting: Collector, start_server: StartServer
) -> None:
    server = await start_server(tracing=True)
    tensor = pb.ImageTensor(data=PIXELS.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=PIXELS.shape)
    async with grpc.aio.insecure_channel(server.target) as channel:
        method: Any = channel.unary_unary(f"/{SERVICE}/Score", pb.ScoreRequest.SerializeToString)
        metadata = (("traceparent", f"00-{TRACE}-{PARENT}-01"), ("x-request-id", "mine"))
        await method(pb.ScoreRequest(tensor=tensor), metadata=metadata)
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    await server.stop()
    (call,) = collecting.named(f"{SERVICE}/Score")
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert call.kind == call.SPAN_KIND_SERVER
    found = _attributes(call)
    assert (found["rpc.method"], found["rpc.grpc.status_code"], found["isthmus.request_id"]) == ("Score", 0, "mine")
    for step, images in (("read images", 3), ("score images", 3)):
        (span,) = collecting.named(step)
        assert (span.trace_id, span.parent_span_id) == (call.trace_id, call.span_id)
        assert _attributes(span)["images"] == images
        assert call.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= call.end_time_unix_nano
    assert len(collecting.spans) == 3  # probes are not traced
    assert collecting.names == {"isthmus"}


async def test_calls_under_way_together_keep_their_steps_apart(
    collecting: Collector, start_server: StartServer
) -> None:
    server = await start_server(tracing=True)
    async with AsyncClient(server.target) as one, AsyncClient(server.target) as two:
        await asyncio.gather(*(client.score(PIXELS) for client in (one, two)))
        with pytest.raises(InvalidInputError):
            await one.score(np.zeros((1, 5, 5, 3), np.uint8))
    await server.stop()
    calls = collecting.named(f"{SERVICE}/Score")
    assert sorted(_attributes(call)["rpc.grpc.status_code"] for call in calls) == [0, 0, 3]
    assert all(call.status.code == 0 for call in calls)  # a caller's mistake is no fault of the server's
    steps = collecting.named("read images")
    assert {step.parent_span_id for step in steps} < {call.span_id for call in calls}
    assert len({step.parent_span_id for step in steps}) == 2


async def test_requests_of_a_stream_are_steps_of_its_span(collecting: Collector, start_server: StartServer) -> None:
    server = await start_server(tracing=True)
    tensor = pb.ImageTensor(data=PIXELS.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=PIXELS.shape)
    request = pb.ScoreStreamRequest(request=pb.ScoreRequest(tensor=tensor))
    async with grpc.aio.insecure_channel(server.target) as channel:
        stream: Any = channel.stream_stream(f"/{SERVICE}/ScoreStream", pb.ScoreStreamRequest.SerializeToString)
        assert len([answer async for answer in stream(iter([request] * 4))]) == 4
    await server.stop()
    (call,) = collecting.named(f"{SERVICE}/ScoreStream")
    assert [step.parent_span_id for step in collecting.named("score images")] == [call.span_id] * 4


def test_untraced_services_load_no_opentelemetry_and_traced_ones_say_what_is_missing() -> None:
    program = """
import sys
import service.server
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
sys.modules["opentelemetry"] = None
from service.tracing import Tracer
try:
    Tracer()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=python_environment()
    )
    assert done.stdout.strip() == "MissingExtraError tracing needs opentelemetry: pip install 'isthmus[tracing]'"
