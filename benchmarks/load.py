"""A load generator in a process of its own: ``python -m benchmarks.load TARGET``; prints one line of JSON.

So many calls are under way at any time (a closed loop), each on a connection of its own; requests are serialised once.
With ``--blocking`` one caller asks, as scripts do, without an event loop. Any method of any server can be asked, with
``--method`` and ``--message``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_WARM_UP = 1.0  # seconds


def _request(target: str, images: int) -> bytes:
    """Random uint8 images of the size the server takes."""
    with grpc.insecure_channel(target) as channel:
        stub: Any = detector_pb2_grpc.AdversarialDetectorStub(channel)
        wanted = stub.GetDetector(pb.GetDetectorRequest()).image_format
    shape = (images, wanted.height, wanted.width, wanted.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    tensor = pb.ImageTensor(data=pixels.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=shape)
    return pb.ScoreRequest(tensor=tensor).SerializeToString()


@dataclass(frozen=True)
class _Call:
    """What is asked again and again, with seconds between one caller's answer and its next question."""

    target: str
    method: str
    message: bytes
    pause: float


async def _caller(call: _Call, end: float, calls: list[tuple[float, float]]) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(call.target, options=options) as channel:
        method: Callable[[bytes], Awaitable[bytes]] = channel.unary_unary(call.method)  # type: ignore[assignment] # on bare bytes
        while (started := time.perf_counter()) < end:
            await method(call.message)
            calls.append((started, time.perf_counter()))
            if call.pause:
                await asyncio.sleep(call.pause)


def _blocking_caller(call: _Call, end: float, calls: list[tuple[float, float]]) -> None:
    with grpc.insecure_channel(call.target) as channel:
        method: Callable[[bytes], bytes] = channel.unary_unary(call.method)  # type: ignore[assignment] # on bare bytes
        while (started := time.perf_counter()) < end:
            method(call.message)
            calls.append((started, time.perf_counter()))
            time.sleep(call.pause)


async def _callers(call: _Call, callers: int, end: float, calls: list[tuple[float, float]]) -> None:
    await asyncio.gather(*(_caller(call, end, calls) for _ in range(callers)))


def _load(call: _Call, *, images: int, callers: int | None, duration: float) -> dict[str, float]:
    """What was measured; without a number of callers, of one that blocks."""
    calls: list[tuple[float, float]] = []
    before = time.process_time()
    end = time.perf_counter() + _WARM_UP + duration
    if callers is None:
        _blocking_caller(call, end, calls)
    else:
        asyncio.run(_callers(call, callers, end, calls))
    first, last = min(started for started, _ in calls), max(ended for _, ended in calls)
    # All calls count for the speed, the first ones too: the server worked from the first to the last.
    elapsed = last - first
    warm = [ended - started for started, ended in calls if started >= first + _WARM_UP]
    low, middle, high = np.quantile(warm or [ended - started for started, ended in calls], [0.5, 0.9, 0.99]).tolist()
    return {
        "images": images * len(calls),
        "images_per_second": images * len(calls) / elapsed,
        "p50": low,
        "p90": middle,
        "p99": high,
        "cpu_share": (time.process_time() - before) / elapsed,
    }


def main() -> None:
    """Ask, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--images", type=int, default=1, help="per request")
    parser.add_argument("--method", default="/isthmus.v1.AdversarialDetector/Score", help="what is called")
    parser.add_argument("--message", type=Path, help="file with the serialised request; random images if not given")
    parser.add_argument("--callers", type=int, default=1, help="requests under way at any time")
    parser.add_argument("--blocking", action="store_true", help="one caller, without an event loop")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between a caller's calls")
    given = parser.parse_args()
    if given.blocking and given.callers != 1:
        parser.error("--blocking is one caller; leave --callers out")
    message = given.message.read_bytes() if given.message else _request(given.target, given.images)
    call = _Call(given.target, given.method, message, given.pause)
    callers = None if given.blocking else given.callers
    found = _load(call, images=given.images, callers=callers, duration=given.seconds)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
