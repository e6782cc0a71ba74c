"""`serve` in a process of its own, ended by signals."""

from __future__ import annotations

import asyncio
import signal

import pytest

from detector.errors import NotReadyError
from service.client import AsyncClient
from tests.service.processes import serving
from tests.service.support import random_pixels

PIXELS = random_pixels(3, 8, 8, 3)
PROGRAM = """
import asyncio, time
from service.server import serve
from tests.support.brightness import BrightnessScorer
from service.settings import load_settings

class SlowScorer(BrightnessScorer):
    def score_canonical(self, images):
        time.sleep(0.7)
        return super().score_canonical(images)

asyncio.run(serve(load_settings(bundle="unused", port=0, metrics_port=0, drain_delay=0.1), load=lambda _: SlowScorer()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_in_flight_finish(number: signal.Signals) -> None:
    async with serving(PROGRAM) as served:
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
