"""Locust in processes of its own: it patches Python's standard library, which no test's process would survive."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtest.__main__ import LOCUSTFILE
from tests.support.commands import environment

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Loaded:
    """A load test that has ended.

    Args:
        code: Its exit code.
        said: All it printed.
        rows: Locust's statistics: requests and failures, by type and name.
    """

    code: int
    said: str
    rows: dict[tuple[str, str], tuple[int, int]]


@dataclass(frozen=True)
class Target:
    """A server that runs, and the options that say what it serves."""

    address: str
    material: tuple[str, ...]


def python(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Python on this checkout, run to its end; standard error is with the output."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env=environment(),
    )


def loaded(target: Target, folder: Path, *options: str) -> Loaded:
    """A short load by locust; `folder` gets its statistics. Workers would write over one another's."""
    file = folder / "stats.json"
    command = ["-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", "--spawn-rate", "100"]
    command += ["--host", target.address, "--json-file", str(folder / "stats"), *target.material, *options]
    done = python(*command)
    told = json.loads(file.read_text()) if file.exists() else []
    rows = {(row["method"], row["name"]): (row["num_requests"], row["num_failures"]) for row in told}
    return Loaded(done.returncode, done.stdout, rows)
