"""Whatever is sent to a real server, it answers with a status of docs/api.md and goes on."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings

from benchmarks.watching import metric
from detector.cli.demo_server import ServerProcess
from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from service.status import DETAILS_KEY, DOMAIN, status_code
from tests.support.fuzzing import INFERENCE, NATIVE, RawCall, calls, good_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60.0
EXPLAINED = {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "NOT_FOUND", "DEADLINE_EXCEEDED"}
"""What a ready server may answer, and says more about in the details."""
METHODS_THAT_EXIST_NOT = (NATIVE + "Delete",)


@pytest.fixture
def fuzzed(digits_bundle: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of its own, whose log must hold no word of anything unexpected."""
    log = tmp_path / "server.log"
    with ServerProcess(digits_bundle, log, port=0, metrics_port=0) as server:
        yield server
        assert server.stop() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert lines
    assert [line for line in lines if line["event"] == "unexpected"] == []
    assert "Traceback" not in log.read_text()


def test_a_few_hundred_calls(fuzzed: ServerProcess) -> None:
    _fuzz(fuzzed, 300, derandomize=True)


@pytest.mark.slow
def test_ten_thousand_calls(fuzzed: ServerProcess) -> None:
    _fuzz(fuzzed, 10_000, derandomize=False)


def _fuzz(server: ServerProcess, examples: int, *, derandomize: bool) -> None:
    codes: Counter[str] = Counter()
    with grpc.insecure_channel(server.address) as channel:
        before = _good_answer(channel)

        @settings(
            max_examples=examples,
            derandomize=derandomize,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],  # so is a machine that does other things
        )
        @given(call=calls())
        def every_call_gets_a_proper_status(call: RawCall) -> None:
            codes.update(_stream(channel, call) if call.streaming else [_unary(channel, call)])

        every_call_gets_a_proper_status()
        assert _good_answer(channel) == before
    assert codes.total() >= examples
    assert {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "NOT_FOUND"} <= set(codes)  # it met them all
    assert metric(server.metrics_url, "isthmus_queue_images") == 0
    started, handled = (metric(server.metrics_url, f"grpc_server_{what}_total") for what in ("started", "handled"))
    assert started == handled


def _unary(channel: grpc.Channel, call: RawCall) -> str:
    method: Any = channel.unary_unary(call.method)
    try:
        method(call.messages[0], timeout=SECONDS)
    except grpc.RpcError as error:
        return _refused(call, error)
    return "OK"


def _stream(channel: grpc.Channel, call: RawCall) -> list[str]:
    """The statuses of a stream's answers: each request gets one in its place, and the stream itself ends well."""
    method: Any = channel.stream_stream(call.method)
    answers = [bytes(answer) for answer in method(iter(call.messages), timeout=SECONDS)]
    assert len(answers) == len(call.messages)
    if call.method.startswith(INFERENCE):
        texts = [oip.ModelStreamInferResponse.FromString(answer).error_message for answer in answers]
        assert not [text for text in texts if text.startswith("internal error")]
        return ["STREAM_ERROR" if text else "OK" for text in texts]
    return [_streamed(pb.ScoreStreamResponse.FromString(answer)) for answer in answers]


def _streamed(answer: pb.ScoreStreamResponse) -> str:
    if answer.WhichOneof("outcome") == "response":
        return "OK"
    return _explained(answer.error)


def _refused(call: RawCall, error: Any) -> str:
    """The name of a refusal's code, which must be one of those that are documented."""
    name = str(error.code().name)
    if call.method in METHODS_THAT_EXIST_NOT:
        assert name == "UNIMPLEMENTED"
        return name
    if call.method.startswith("/grpc.health"):
        assert name in {"NOT_FOUND", "INVALID_ARGUMENT"}
        return name
    details = [value for key, value in error.trailing_metadata() if key == DETAILS_KEY]
    assert len(details) == 1, f"{name}: {error.details()}"
    status = status_pb2.Status.FromString(details[0])
    assert status.message == error.details()
    assert _explained(status) == name
    return name


def _explained(status: status_pb2.Status) -> str:
    name = str(status_code(status.code).name)
    info = error_details_pb2.ErrorInfo()
    assert name in EXPLAINED, status.message
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == DOMAIN
    return name


def _good_answer(channel: grpc.Channel) -> pb.ScoreResponse:
    score: Any = channel.unary_unary(NATIVE + "Score", response_deserializer=pb.ScoreResponse.FromString)
    answer: pb.ScoreResponse = score(good_request().SerializeToString(), timeout=SECONDS)
    assert len(answer.results[0].evidence.logits) == 10
    return answer
