"""Servers in processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.service.support import python_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class Served:
    """A serving process and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        """Read the log until a line has this event."""
        assert self.process.stderr
        async with asyncio.timeout(30):
            async for line in self.process.stderr:
                self.log.append(json.loads(line))
                if self.log[-1]["event"] == event:
                    return self.log[-1]
        raise AssertionError(f"the log ended without {event!r}: {self.log}")


@asynccontextmanager
async def started(*command: str, env: Mapping[str, str], cwd: str | None = None) -> AsyncIterator[Served]:
    """Run a command that serves; killed at the end where it still runs."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Served(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def serving(program: str) -> AsyncIterator[Served]:
    """Run a program that serves, in a Python of its own."""
    async with started(sys.executable, "-c", program, env=python_environment()) as served:
        yield served
