"""A long steady load, then too much of it: ``python -m benchmarks.soak BUNDLE``; says which bars hold.

What the server can answer is measured first, with as many requests under way as it has places. Then it gets 80 % of
that for long, and three times that for a while, in an open load from a process of its own (`benchmarks.arrivals`). Who
is let in waits for those before: with two places and batches of one image, for one. All others are told to come
again, some of them under the steady load too, where by chance several come at once; more places turn fewer away there,
and make all wait longer under overload.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arrivals import ANSWERED, REFUSED, WRONG, Outcome, command, counted, quantile, read
from benchmarks.serving import load
from benchmarks.watching import Holdings
from detector.cli.demo_server import ServerProcess
from detector.cli.stopping import terminated_like_interrupted
from loadtest.bars import Bar, bar_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEADY, OVERLOAD = 0.8, 3.0
"""Shares of what the server can answer."""
GROWTH, SLOWER = 0.05, 3.0
"""Bars: memory may grow by so much after the warm-up, and the p99 of those let in be so many times the unloaded one."""
_PLACES: Final = 2
_CONNECTIONS: Final = 16
_WARM_UP: Final = 0.2
"""Of the steady load's time, in which memory may settle."""
_WINDOWS: Final = 60


@dataclass
class Memory:
    """Resident bytes of a process, once a second.

    Args:
        begin: On `time.monotonic`.
    """

    begin: float
    at: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Look while the block lasts."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(1.0):
                self.at.append(time.monotonic() - self.begin)
                self.resident.append(Holdings.of(pid).memory)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def growth(self, until: float) -> float:
        """How much larger the last third is than what followed the warm-up, up to `until` seconds; 0.05 is 5 %."""
        at, resident = np.array(self.at), np.array(self.resident)
        warm = resident[(at > _WARM_UP * until) & (at <= until)]
        third = max(1, len(warm) // 3)
        return float(np.median(warm[-third:]) / np.median(warm[:third]) - 1)


def bars(steady: Sequence[Outcome], overload: Sequence[Outcome], alone: Sequence[Outcome], growth: float) -> list[Bar]:
    """What must hold of the two loads."""
    both = counted([*steady, *overload])
    others = {name: count for name, count in both.items() if name not in {ANSWERED, REFUSED, WRONG}}
    unloaded = quantile(alone, 0.99)
    slower = quantile(overload, 0.99) / unloaded
    return [
        Bar(f"memory grows by less than {GROWTH:.0%} after the warm-up", f"{growth:+.1%}", growth < GROWTH),
        Bar("every request has one end: an answer or a refusal with a delay", f"others: {others or 0}", not others),
        Bar("every answer is its own request's", f"{both[WRONG]} wrong of {both[ANSWERED]}", not both[WRONG]),
        Bar(
            f"under overload the p99 of those let in is below {SLOWER:g} times the unloaded {1000 * unloaded:.0f} ms",
            f"{slower:.2f} times",
            slower < SLOWER,
        ),
        Bar("overload is refused", f"{counted(overload)[REFUSED]} of {len(overload)}", counted(overload)[REFUSED] > 0),
    ]


@terminated_like_interrupted()
def main() -> None:
    """Print the table; exits with 1 where a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the steady load")
    parser.add_argument("--overload-minutes", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the engine")
    parser.add_argument("--places", type=int, default=_PLACES, help="images the server takes in at once")
    parser.add_argument("--plot", type=Path, help="where a picture of latency and memory goes, .svg or .png")
    given = parser.parse_args()
    flags = ["--threads", str(given.threads), "--max-images", str(given.places)]
    flags += ["--max-queue-images", str(given.places), "--max-batch-images", "1"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with ServerProcess(given.bundle, log, port=0, metrics_port=0, flags=flags) as server:
            capacity = load(server.address, images=1, callers=given.places, seconds=8)["images_per_second"]
            alone = _asked([sys.executable, "-m", "benchmarks.arrivals", server.address])
            memory = Memory(time.monotonic())
            with memory.watching(server.pid):
                steady = _offered(server.address, STEADY * capacity, 60 * given.minutes)
                until = time.monotonic() - memory.begin
                overload = _offered(server.address, OVERLOAD * capacity, 60 * given.overload_minutes)
    held = bars(steady, overload, alone, memory.growth(until))
    _show(
        {"unloaded": alone, "steady": steady, "overload": overload}, held, f"{capacity:.1f} requests/s can be answered"
    )
    if given.plot:
        draw(given.plot, steady, overload, memory, until)
    raise SystemExit(not all(bar.holds for bar in held))


def draw(file: Path, steady: Sequence[Outcome], overload: Sequence[Outcome], memory: Memory, until: float) -> None:
    """Latency of the answered and memory, over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    late = [Outcome(one.client, one.at + until, one.seconds, one.result) for one in overload]
    edges = np.linspace(0, max(one.at for one in [*steady, *late]), _WINDOWS + 1)
    for share in (0.5, 0.99):
        windows = [
            1000 * quantile([one for one in [*steady, *late] if low <= one.at < high], share)
            for low, high in pairwise(edges)
        ]
        above.plot(edges[:-1], windows, label=f"p{100 * share:g}", drawstyle="steps-post")
    above.set_ylabel("ms from due to answer")
    above.legend()
    below.plot(memory.at, np.array(memory.resident) / 2**20)
    below.set_ylabel("resident MiB")
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.axvline(until, color="grey", linestyle=":")  # from here on three times too much
    figure.savefig(file)


def _asked(arguments: Sequence[str]) -> list[Outcome]:
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    return read(done.stdout)


def _offered(target: str, rate: float, seconds: float) -> list[Outcome]:
    return _asked([*command([target], rate=rate, seconds=seconds, connections=_CONNECTIONS)])


def _show(loads: dict[str, list[Outcome]], held: Sequence[Bar], title: str) -> None:
    console = Console()
    console.print(title)
    table = Table("load", "requests", "answered", "refused", "wrong", "others", "p50 ms", "p99 ms")
    for name, outcomes in loads.items():
        counts = counted(outcomes)
        others = len(outcomes) - counts[ANSWERED] - counts[REFUSED] - counts[WRONG]
        numbers = [len(outcomes), counts[ANSWERED], counts[REFUSED], counts[WRONG], others]
        times = [f"{1000 * quantile(outcomes, share):.1f}" for share in (0.5, 0.99)]
        table.add_row(name, *map(str, numbers), *times)
    console.print(table)
    console.print(bar_table(held))


if __name__ == "__main__":
    main()
