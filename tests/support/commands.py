"""The command line in a process of its own."""

from __future__ import annotations

import os
import signal
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
        # Where the tests run in the background, Ctrl-C is ignored by all that is started there, unless told otherwise.
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - no threads are at work when the child starts
    )


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
