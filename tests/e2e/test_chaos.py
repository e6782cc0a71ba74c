"""Callers who behave badly: a real server stays up, answers everybody else meanwhile, and holds on to nothing after."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from benchmarks.watching import Holdings, metric
from detector.cli.demo_server import ServerProcess
from detector.errors import IsthmusError
from isthmus.v1 import detector_pb2 as pb
from service.client import Client
from tests.support.commands import environment
from tests.support.fuzzing import NATIVE, PIXELS, SHAPE, good_request
from tests.support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    frame,
    headers,
    message,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEBI = 1 << 20
THREADS_KEPT, MEMORY_KEPT = 4, 32 * MEBI  # gRPC keeps a few for a while, and what was free once is not all given back
SCORE = headers(NATIVE + "Score")
STREAM = headers(NATIVE + "ScoreStream")
HELLO = PREFACE + settings()
CALL = frame(HEADERS, END_HEADERS, 1, SCORE)
HANDSHAKE_SECONDS = 10
PATIENCE = 30.0
STREAM_REQUESTS = 8  # what the server works on at once of one stream, unless told otherwise
STREAMING_CLIENT = """
import sys, grpc
from isthmus.v1 import detector_pb2 as pb, detector_pb2_grpc
def requests():
    tensor = pb.ImageTensor(data=bytes(64 * 64), pixel_type=1, shape=(64, 8, 8, 1))
    while True:
        yield pb.ScoreStreamRequest(request=pb.ScoreRequest(tensor=tensor))
with grpc.insecure_channel(sys.argv[1]) as channel:
    for answer in detector_pb2_grpc.AdversarialDetectorStub(channel).ScoreStream(requests()):
        print(len(answer.response.results), flush=True)
"""


@pytest.fixture(scope="module")
def attacked(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all, which has seen callers before; it must end well at the end."""
    log = tmp_path_factory.mktemp("chaos") / "server.log"
    with ServerProcess(digits_bundle, log, port=0, metrics_port=0) as server:
        with _others_are_answered(server):
            time.sleep(0.5)
        yield server
        assert server.stop() == 0
    assert "Traceback" not in log.read_text()


@contextmanager
def _others_are_answered(server: ServerProcess) -> Iterator[None]:
    """Somebody else comes anew, again and again, while the block lasts, and always gets an answer."""
    failures: list[IsthmusError] = []
    answered: list[float] = []
    enough = threading.Event()

    def call() -> None:
        while not (enough.is_set() and answered) and not failures:
            started = time.perf_counter()
            try:
                with Client(server.address, timeout=PATIENCE) as client:
                    assert client.score(PIXELS)[0].label
            except IsthmusError as error:
                failures.append(error)
            answered.append(time.perf_counter() - started)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield
    finally:
        enough.set()
        caller.join()
    assert not failures
    assert answered


def _more_than(before: Holdings, server: ServerProcess) -> dict[str, int]:
    """What the server holds more of than before; of threads and memory, much more."""
    now = Holdings.of(server.pid)
    more = {
        "files": now.files - before.files,
        "threads": now.threads - before.threads - THREADS_KEPT,
        "memory": now.memory - before.memory - MEMORY_KEPT,
        "places": int(metric(server.metrics_url, "isthmus_queue_images")),
    }
    return {name: amount for name, amount in more.items() if amount > 0}


@contextmanager
def _nothing_is_kept(server: ServerProcess) -> Iterator[None]:
    """Soon after the block the server holds no more than before."""
    before = Holdings.of(server.pid)
    yield
    deadline = time.monotonic() + PATIENCE
    while (held := _more_than(before, server)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not held


@contextmanager
def _survived(server: ServerProcess) -> Iterator[None]:
    with _nothing_is_kept(server), _others_are_answered(server):
        yield


NO_CALLS = {
    "nothing": b"",
    "half a preface": PREFACE[:10],
    "a preface": PREFACE,
    "half a frame": PREFACE + settings()[:5],
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "HTTP/1": b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    "noise": bytes(range(256)) * 20,
}


def test_connections_that_never_become_calls_are_closed(attacked: ServerProcess) -> None:
    with _survived(attacked), ExitStack() as stack:
        opened = [
            (name, stack.enter_context(Connection(attacked.address, say)))
            for name, say in NO_CALLS.items()
            for _ in "ab"
        ]
        started = time.monotonic()
        left = [name for name, connection in opened if not connection.closed_by_peer(2 * HANDSHAKE_SECONDS)]
        assert left == []
        assert time.monotonic() - started < 2 * HANDSHAKE_SECONDS


BROKEN = {
    "data of no stream": frame(DATA, payload=b"x"),
    "data of a stream that never began": frame(DATA, stream=7, payload=b"x"),
    "headers that are none": frame(HEADERS, END_HEADERS, 1, b"\xff" * 100),
    "headers of an even stream": frame(HEADERS, END_HEADERS, 2, SCORE),
    "a frame larger than allowed": frame(HEADERS, END_HEADERS, 1, SCORE, length=(1 << 24) - 1),
    "a settings frame of odd length": frame(SETTINGS, payload=b"12345"),
    "a promise, which clients can't make": frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + SCORE),
    "a window that overflows": frame(WINDOW_UPDATE, payload=b"\x7f\xff\xff\xff") * 2,
    "a kind that there is not": frame(0xFA, 0xFF, 1, b"x" * 100),
    "continuation of nothing": frame(CONTINUATION, END_HEADERS, 1, SCORE),
    "endless headers": frame(HEADERS, 0, 1, SCORE) + frame(CONTINUATION, 0, 1, b"\x00\x01x\x7e" + b"y" * 126) * 5000,
    "a message longer than it says": CALL + frame(DATA, END_STREAM, 1, message(b"")[:-1] + b"\x02xyz"),
    "a message that never comes": CALL + frame(DATA, END_STREAM, 1, b"\x00\xff\xff\xff\xff"),
    "a compressed message of no compression": CALL + frame(DATA, END_STREAM, 1, b"\x01" + message(b"x")[1:]),
    "pings without end": frame(PING, payload=bytes(8)) * 20_000,
    "calls begun and taken back": b"".join(
        frame(HEADERS, END_HEADERS, stream, SCORE) + frame(RST_STREAM, 0, stream, bytes(4))
        for stream in range(1, 4000, 2)
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_frames(attacked: ServerProcess, broken: str) -> None:
    with _survived(attacked), ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(Connection(attacked.address, HELLO))
            with suppress(ConnectionError):  # closed before it was all sent
                connection.send(BROKEN[broken])
        time.sleep(0.2)


def test_a_slow_caller_gets_an_answer_too(attacked: ServerProcess) -> None:
    body = message(good_request().SerializeToString())
    with _survived(attacked), Connection(attacked.address, HELLO + CALL) as slow:
        for byte in body[:-1]:
            slow.send(frame(DATA, 0, 1, bytes([byte])))
            time.sleep(0.01)
        slow.send(frame(DATA, END_STREAM, 1, body[-1:]))
        kinds = [(kind, stream) for kind, _, stream in slow.frames() if kind in {DATA, HEADERS}]
        assert kinds == [(HEADERS, 1), (DATA, 1), (HEADERS, 1)]


def test_a_caller_who_never_reads_is_held_up(attacked: ServerProcess) -> None:
    tensor = pb.ImageTensor(data=bytes(64 * 64), pixel_type=pb.PIXEL_TYPE_UINT8, shape=(64, *SHAPE))
    asked = pb.ScoreStreamRequest(request=pb.ScoreRequest(tensor=tensor, include_profile=True))
    request = frame(DATA, 0, 1, message(asked.SerializeToString()))
    before = Holdings.of(attacked.pid)
    scored = metric(attacked.metrics_url, "isthmus_images_total")
    with _nothing_is_kept(attacked):
        hello = PREFACE + settings(initial_window=0) + frame(HEADERS, END_HEADERS, 1, STREAM)
        with _others_are_answered(attacked), Connection(attacked.address, hello) as deaf:
            for _ in range(4000):
                deaf.send(request)
            time.sleep(0.5)
            taken = (metric(attacked.metrics_url, "isthmus_images_total") - scored) / 64
            held = Holdings.of(attacked.pid)
    assert held.memory < before.memory + MEMORY_KEPT
    assert 1 <= taken < STREAM_REQUESTS + 2  # others are answered too, but one image at a time


def test_callers_killed_in_mid_call(attacked: ServerProcess) -> None:
    with _survived(attacked):
        for _ in range(3):
            command = [sys.executable, "-c", STREAMING_CLIENT, attacked.address]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as caller:
                assert caller.stdout
                assert caller.stdout.readline() == b"64\n"
                caller.kill()


@pytest.mark.parametrize("end", [Connection.reset, lambda one: one.socket.close()], ids=["reset", "closed"])
@pytest.mark.parametrize("say", [b"", HELLO, HELLO + CALL], ids=["nothing", "hello", "call"])
def test_many_connections_come_and_go(attacked: ServerProcess, end: Callable[[Connection], None], say: bytes) -> None:
    with _survived(attacked):
        for _ in range(200):
            end(Connection(attacked.address, say))
