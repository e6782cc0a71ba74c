from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.client import AsyncClient, Client
from tests.service.test_metrics import FLAT, NOISE

if TYPE_CHECKING:
    from service.server import RunningServer
    from tests.service.support import StartServer

CALLS = 100


def connections(server: RunningServer) -> set[str]:
    """Those that flagged images came by, lately."""
    return {image.caller for image in server._recent.newest_first()}


@pytest.mark.parametrize(("age", "renewed"), [(1.0, True), (0.0, False)])
async def test_clients_connect_anew_after_a_while_and_notice_nothing(
    start_server: StartServer, age: float, *, renewed: bool
) -> None:
    server = await start_server(max_connection_age=age)
    async with AsyncClient(server.target) as client:
        for _ in range(CALLS):
            assert len(await client.score(NOISE)) == 1
            await asyncio.sleep(0.03)
    assert (len(connections(server)) > 1) == renewed


async def test_clients_use_all_addresses_that_they_are_given(start_server: StartServer) -> None:
    servers = [await start_server(), await start_server()]
    target = "ipv4:" + ",".join(server.target for server in servers)
    async with AsyncClient(target) as client:
        for _ in range(20):
            await client.score(NOISE)
    assert all(connections(server) for server in servers)

    def ask() -> int:
        with Client(target) as plain:
            return sum(len(plain.score([FLAT, NOISE])) for _ in range(20))

    before = [len(server._recent.newest_first()) for server in servers]
    assert await asyncio.to_thread(ask) == 40
    after = [len(server._recent.newest_first()) for server in servers]
    assert all(later > earlier for later, earlier in zip(after, before, strict=True))
