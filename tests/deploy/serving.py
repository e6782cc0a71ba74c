"""What every image of a server must do, told by its own health check and a real client."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from service.client import AsyncClient
from tests.service.support import random_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.container import Container


async def answers_and_stops(container: Container, bundle: Path) -> None:
    """Start it with a bundle; it answers health checks and requests, and a SIGTERM drains it."""
    asked = {"ISTHMUS_BUNDLE": str(bundle), "ISTHMUS_PORT": "0", "ISTHMUS_METRICS_PORT": "0"}
    quick = {"ISTHMUS_DRAIN_DELAY": "0.1", "ISTHMUS_HOST": "127.0.0.1", "ISTHMUS_METRICS_HOST": "127.0.0.1"}
    started = replace(container, changes=container.changes | asked | quick)
    status, said = await started.run("python", "-c", "import os; 'HOME' in os.environ or open('/tmp/written', 'w')")
    assert status == 1, "the root is read-only and there is no home"
    assert "Read-only file system" in said
    async with started.running() as served:
        listening = await served.until("listening")
        port = {"ISTHMUS_PORT": str(listening["port"])}
        healthy = replace(started, changes=started.changes | port)
        assert await healthy.check() == (0, "")
        async with AsyncClient(listening["address"]) as client:
            description = await client.describe()
            pixels = random_pixels(2, description.height, description.width, description.channels)
            scored = await client.score(pixels)
        assert np.isfinite([image.score for image in scored]).all()
        served.process.send_signal(signal.SIGTERM)
        await served.until("stopped")
        assert await served.process.wait() == 0
        status, said = await healthy.check()
        assert status == 1
        assert said.startswith("not ready: UNAVAILABLE")
