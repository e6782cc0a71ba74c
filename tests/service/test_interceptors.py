from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from detector.errors import ServiceFailedError
from isthmus.v1 import detector_pb2 as pb
from service.client import AsyncClient
from tests.service.support import GatedScorer, StartServer, score_method

if TYPE_CHECKING:
    from service.server import RunningServer

FLAT = np.full((8, 8, 3), 128, np.uint8)


async def trailing_id(target: str, request: pb.ScoreRequest, sent: str | None) -> str:
    """The request id that comes back, with an answer or an error."""
    async with grpc.aio.insecure_channel(target) as channel:
        call = score_method(channel)(
            request.SerializeToString(), metadata=(("x-request-id", sent),) if sent is not None else None
        )
        trailing = await call.trailing_metadata()
    return str(trailing["x-request-id"])


GOOD = pb.ScoreRequest(
    tensor=pb.ImageTensor(data=FLAT.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=(1, *FLAT.shape))
)


@pytest.mark.parametrize("request_", [GOOD, pb.ScoreRequest()], ids=["answered", "refused"])
async def test_a_request_id_is_echoed_or_made(server: RunningServer, request_: pb.ScoreRequest) -> None:
    assert await trailing_id(server.target, request_, "caller-7") == "caller-7"
    made = {await trailing_id(server.target, request_, None) for _ in range(2)}
    assert all(len(one) == 32 for one in made)
    assert len(made) == 2


@pytest.mark.parametrize("sent", ["", "x" * 129, "two words"])
async def test_unfit_request_ids_are_replaced(server: RunningServer, sent: str) -> None:
    found = await trailing_id(server.target, GOOD, sent)
    assert len(found) == 32


async def test_calls_are_logged_with_their_id_and_probes_only_when_debugging(server: RunningServer) -> None:
    with capture_logs(processors=[merge_contextvars]) as logs:
        await trailing_id(server.target, GOOD, "caller-8")
        async with grpc.aio.insecure_channel(server.target) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    score, check = (line for line in logs if line["event"] == "rpc")
    assert score["method"] == "isthmus.v1.AdversarialDetector/Score"
    assert (score["code"], score["log_level"], score["request_id"]) == ("OK", "info", "caller-8")
    assert 0 < score["seconds"] < 20
    assert check["method"] == "grpc.health.v1.Health/Check"
    assert check["log_level"] == "debug"


async def test_what_is_unexpected_is_logged_with_its_id_and_cause(start_server: StartServer) -> None:
    server = await start_server(GatedScorer())
    with capture_logs() as logs:
        async with AsyncClient(server.target) as client:
            with pytest.raises(ServiceFailedError) as caught:
                await client.score(np.zeros((8, 8, 3), np.uint8))
    (line,) = (line for line in logs if line["event"] == "unexpected")
    assert line["error_id"] in str(caught.value)
    assert "secret" in str(line["exc_info"])
    assert line["log_level"] == "error"
