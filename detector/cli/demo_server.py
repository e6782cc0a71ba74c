"""The real server in a process of its own, as an operator would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Final, Self

from detector.errors import ServiceFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05


class ServerProcess:
    """`isthmus serve` for as long as the ``with`` block lasts; inside the block it is ready to answer.

    Args:
        bundle: What to serve.
        log: The file its log goes to.
        port: To answer gRPC on; 0 takes any free one.
        metrics_port: To serve metrics on; likewise.
        flags: Further ones of `isthmus serve`.

    Raises:
        ServiceFailedError: On entering: it did not start; the message has its last words.
    """

    def __init__(self, bundle: Path, log: Path, *, port: int, metrics_port: int, flags: Sequence[str] = ()) -> None:
        self._command = [sys.executable, "-m", "detector", "serve", "--bundle", str(bundle), "--drain-delay", "0"]
        self._command += ["--port", str(port), "--metrics-port", str(metrics_port), "--log-format", "json"]
        self._command += flags
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.metrics_url = ""

    def __enter__(self) -> Self:
        # Settings in the environment are meant for the user's own server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ISTHMUS_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this project's own command
                self._command, stdout=log, stderr=log, env=environment
            )
        try:
            with self._log.open(encoding="utf-8") as lines:
                listening = self._until_listening(lines, self._process)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self.address = str(listening["address"])
        self.metrics_url = f"http://127.0.0.1:{listening['metrics_port']}/metrics"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            ServiceFailedError: It was never started.
        """
        return self._started().pid

    def stop(self) -> int:
        """Send SIGTERM, which lets it finish what it is doing; its exit code. Does nothing the second time."""
        process = self._started()
        process.terminate()
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def wait(self) -> None:
        """Return when it has ended by itself."""
        if self._process is not None:
            self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceFailedError("the server was never started")
        return self._process

    def _until_listening(self, lines: IO[str], process: subprocess.Popen[bytes]) -> dict[str, Any]:
        last, text, deadline = "", "", time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            ended = process.poll() is not None  # asked first: what it said before is in the file by now
            while part := lines.readline():
                text += part
                if text.endswith("\n"):
                    if (found := _event(text)).get("event") == "listening":
                        return found
                    last, text = text.strip(), ""
            if ended:
                raise ServiceFailedError(f"the server did not start: {last or text} (its log: {self._log})")
            time.sleep(_POLL_SECONDS)
        raise ServiceFailedError(f"the server did not start in {_START_SECONDS:g} s: {last} (its log: {self._log})")


def _event(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
