from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from service.client import AsyncClient
from service.server import RunningServer
from tests.service.support import StartServer, settings_for_tests
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.ports import Scorer


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Starts real servers, with any settings and any scorer, and stops them after the test."""
    async with AsyncExitStack() as stack:

        async def start(scorer: Scorer | None = None, **changes: Any) -> RunningServer:
            server = RunningServer(settings_for_tests(**changes), load=lambda _: scorer or BrightnessScorer())
            return await stack.enter_async_context(server)

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> RunningServer:
    return await start_server()


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.target, timeout=20) as client:
        yield client
