"""A rolling restart under load: ``python -m benchmarks.rolling BUNDLE``; no request may fail.

Two replicas on this machine, and clients that balance between them, differently set up. One replica is told to stop
(SIGTERM), drains, ends and is started again; then the other. The load comes from a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from benchmarks.arrivals import ANSWERED, CLIENTS, Outcome, command, counted, quantile, read
from benchmarks.serving import load
from detector.cli.demo_server import ServerProcess
from detector.cli.stopping import terminated_like_interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARE: Final = 0.5
"""Of what one replica can answer: it has to do so alone while the other restarts."""


class Replica:
    """A server that can be started again on its port.

    Args:
        bundle: What it serves.
        log: Where its logs go; each start adds one.
        flags: Of `isthmus serve`.
    """

    def __init__(self, bundle: Path, log: Path, flags: Sequence[str]) -> None:
        self._bundle, self._log, self._flags = bundle, log, flags
        self._starts = 0
        self._server = self._start(0)

    @property
    def address(self) -> str:
        """Where it answers."""
        return self._server.address

    def restart(self) -> int:
        """Stop as an orchestrator does, start again; the exit code of the one that stopped."""
        code = self._server.stop()
        self._server = self._start(int(self.address.rsplit(":", 1)[1]))
        return code

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def _start(self, port: int) -> ServerProcess:
        self._starts += 1
        log = self._log.with_suffix(f".{self._starts}")
        return ServerProcess(self._bundle, log, port=port, metrics_port=0, flags=self._flags).__enter__()


def roll(replicas: Sequence[Replica], pause: float) -> list[int]:
    """Restart one after the other, with a pause before, between and after; their exit codes."""
    codes = []
    for replica in replicas:
        time.sleep(pause)
        codes.append(replica.restart())
    time.sleep(pause)
    return codes


@terminated_like_interrupted()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds before, between and after the restarts")
    parser.add_argument("--drain-delay", type=float, default=2.0, help="seconds replicas go on after NOT_SERVING")
    parser.add_argument("--rounds", type=int, default=2, help="how often every replica is restarted")
    given = parser.parse_args()
    flags = ("--threads", "1", "--drain-delay", str(given.drain_delay))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        replicas = []
        for number in range(2):
            replicas.append(Replica(given.bundle, Path(folder) / f"replica-{number}", flags))
            stack.callback(replicas[-1].stop)
        targets = [replica.address for replica in replicas]
        rate = _SHARE * load(targets[0], images=1, callers=8, seconds=5)["images_per_second"]
        begin = time.monotonic()
        many = given.rounds * (3 * given.pause + 2 * (given.drain_delay + 10))
        arguments = [*command(targets, rate=rate, seconds=many)]
        for client in CLIENTS:
            arguments += ["--client", client]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as asking:  # noqa: S603 - our own command
            codes = [code for _ in range(given.rounds) for code in roll(replicas, given.pause)]
            rolled = time.monotonic() - begin
            printed, _ = asking.communicate()
    _show(
        read(printed), Console(), f"{rate:.1f} requests/s; {len(codes)} restarts in {rolled:.0f} s, exit codes {codes}"
    )


def _show(outcomes: Sequence[Outcome], console: Console, title: str) -> None:
    table = Table("client", "requests", "answered", "failed", "p50 ms", "p99 ms")
    for client in CLIENTS:
        own = [outcome for outcome in outcomes if outcome.client == client]
        counts = counted(own)
        failed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if name != ANSWERED)
        times = [f"{1000 * quantile(own, share):.1f}" for share in (0.5, 0.99)]
        table.add_row(client, str(len(own)), str(counts[ANSWERED]), failed or "0", *times)
    console.print(title)
    console.print(table)


if __name__ == "__main__":
    main()
