"""`serve` in a process of its own, ended by signals."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from detector.errors import NotReadyError
from service.client import AsyncClient
from tests.service.support import python_environment, random_pixels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIXELS = random_pixels(3, 8, 8, 3)
PROGRAM = """
import asyncio, time
from service.server import serve
from service.testing import BrightnessScorer
from service.settings import load_settings

class SlowScorer(BrightnessScorer):
    def score_canonical(self, images):
        time.sleep(0.7)
        return super().score_canonical(images)

asyncio.run(serve(load_settings(bundle="unused", port=0, metrics_port=0, drain_delay=0.1), load=lambda _: SlowScorer()))
"""


class Served:
    """A serving process and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        assert self.process.stderr
        async with asyncio.timeout(30):
            async for line in self.process.stderr:
                self.log.append(json.loads(line))
                if self.log[-1]["event"] == event:
                    return self.log[-1]
        raise AssertionError(f"the log ended without {event!r}: {self.log}")


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stderr=asyncio.subprocess.PIPE, env=python_environment()
    )
    try:
        yield Served(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_in_flight_finish(number: signal.Signals) -> None:
    async with serving() as served:
        listening = await served.until("listening")
        assert listening["metrics_port"] != listening["port"] > 0
        async with AsyncClient(listening["address"]) as client:
            await client.describe()
            in_flight = asyncio.create_task(client.score(PIXELS))
            await asyncio.sleep(0.3)
            served.process.send_signal(number)
            await served.until("draining")
            assert len(await in_flight) == 3
            await served.until("stopped")
            with pytest.raises(NotReadyError):
                await client.score(PIXELS)
        assert await served.process.wait() == 0
    calls = [line for line in served.log if line["event"] == "rpc"]
    assert [line["method"].split("/")[1] for line in calls] == ["GetDetector", "Score"]
    assert {line["code"] for line in calls} == {"OK"}
