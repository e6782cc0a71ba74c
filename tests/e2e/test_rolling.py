"""Two replicas are restarted one after the other, and no request fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.arrivals import ANSWERED, counted, offer, questions
from benchmarks.rolling import Replica, roll

if TYPE_CHECKING:
    from pathlib import Path

PAUSE = 2.5  # seconds; long enough for clients to find a replica that is back
CLIENTS = ("health checks", "health checks, not even gRPC's own retries")


async def test_no_request_fails(digits_bundle: Path, tmp_path: Path) -> None:
    flags = ("--threads", "1", "--drain-delay", "1")
    replicas = [await asyncio.to_thread(Replica, digits_bundle, tmp_path / name, flags) for name in ("one", "two")]
    try:
        targets = [replica.address for replica in replicas]
        rolling = asyncio.ensure_future(asyncio.to_thread(roll, replicas, PAUSE))
        asked = await questions(targets[0], 4)
        outcomes = await offer(targets, asked, rate=40, seconds=120, clients=CLIENTS, until=rolling)
        assert await rolling == [0, 0]
    finally:
        for replica in replicas:
            await asyncio.to_thread(replica.stop)
    assert [replica.address for replica in replicas] == targets
    assert counted(outcomes) == {ANSWERED: len(outcomes)}
    assert len(outcomes) > 40 * 2 * PAUSE
