"""Runs an image's command as an engine would: its own variables alone, no home, no capabilities, a read-only root."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.service.processes import Served, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.deploy.dockerfile import Dockerfile

_ISOLATED = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
# The shell is this machine's, and gone before the command starts.
_READ_ONLY = ["/bin/sh", "-ec", 'mount -o remount,ro,bind /; exec "$@"', "sh"]
_POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
CONFINED = [*_ISOLATED, *_READ_ONLY, *_POWERLESS]


def confinement() -> None:
    """Skip the test where processes can't be confined without an engine."""
    if shutil.which("unshare") is None or subprocess.run([*CONFINED, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make mount namespaces (unshare), so no root can be made read-only")


@dataclass(frozen=True)
class Container:
    """An image that a folder of programs stands for.

    Args:
        dockerfile: Where the image is.
        image: Its name.
        programs: The folder that has the image's Python, and ``isthmus`` beside it.
        changes: Variables given on top of the image's.
    """

    dockerfile: Dockerfile
    image: str
    programs: Path
    changes: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """All that the process finds."""
        image = self.dockerfile.environment(self.image)
        return image | self.changes | {"PATH": os.pathsep.join((str(self.programs), "/usr/bin", "/bin"))}

    @property
    def command(self) -> list[str]:
        """What is started."""
        entry, command = (self.dockerfile.values(self.image, keyword)[-1] for keyword in ("ENTRYPOINT", "CMD"))
        return self._found([*entry.exec_form, *command.exec_form])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Served]:
        """The command, confined; killed at the end where it still runs."""
        async with started(*CONFINED, *self.command, cwd="/", env=self.environment) as served:
            yield served

    async def run(self, *command: str) -> tuple[int, str]:
        """Another command in the container: its exit status, and all it says."""
        process = await asyncio.create_subprocess_exec(
            *CONFINED,
            *self._found(list(command)),
            cwd="/",
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def check(self) -> tuple[int, str]:
        """The image's health check, as the engine asks it again and again."""
        return await self.run(*self.dockerfile.values(self.image, "HEALTHCHECK")[-1].exec_form)

    def _found(self, words: list[str]) -> list[str]:
        return [str(self.programs / words[0]), *words[1:]]
