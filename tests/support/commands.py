"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """What a Python of this checkout needs, without settings of the service."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ISTHMUS_")}
    path = os.pathsep.join((str(ROOT), str(ROOT / "protos")))
    # So small networks are slowed down by more than one thread of torch, on a busy machine ten times.
    return inherited | {"PYTHONPATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def started(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """`isthmus ARGUMENTS`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "detector", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment(),
    )


def finished(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """`isthmus ARGUMENTS`, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "detector", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
    )
