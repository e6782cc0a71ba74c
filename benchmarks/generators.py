"""What locust's own work hides: ``python -m benchmarks.generators BUNDLE IMAGES``.

The same server is asked about single images by the asyncio generator (`benchmarks.load`), by locust, and by locust with
two workers, in turn, each with as many calls under way; so what slows the machine slows all. Locust also reads and
checks every answer, the other one does not. What a request costs its generator says how many one core of it can make.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from benchmarks.serving import load
from detector.cli.demo_server import ServerProcess
from detector.cli.stopping import terminated_like_interrupted
from loadtest.__main__ import LOCUSTFILE, shared_by

if TYPE_CHECKING:
    from collections.abc import Callable

CALLERS: Final = (1, 8, 32)


def locust(target: str, material: list[str], callers: int, seconds: float, *further: str) -> dict[str, float]:
    """As `benchmarks.serving.load`, by locust.

    Raises:
        RuntimeError: An answer was wrong, or a request failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", "ScoreUser"]
        command += ["--users", str(callers), "--spawn-rate", "100", "--run-time", f"{seconds:.0f}s"]
        command += ["--host", target, "--csv", str(Path(folder) / "load"), *material, *further]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
        if done.returncode:
            raise RuntimeError(f"{done.stdout}\n{done.stderr}")
        (row, _) = csv.DictReader((Path(folder) / "load_stats.csv").read_text().splitlines())  # and their sum
    cores = sum(int(share) for share in re.findall(r"this load generator took (\d+)% of a core", done.stdout)) / 100
    return {
        "images_per_second": float(row["Requests/s"]),
        "cpu_share": cores,
        "p50": float(row["50%"]) / 1000,
        "p99": float(row["99%"]) / 1000,
    }


@terminated_like_interrupted()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("images", help="images to ask about: a folder, a zip of one, an .npz")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the server's engine")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    material = ["--bundle", str(given.bundle), "--clean", given.images, "--images", "32"]
    generators: dict[str, Callable[[str, int], dict[str, float]]] = {
        "asyncio": lambda target, callers: load(target, 1, callers, given.seconds),
        "locust": lambda target, callers: locust(target, material, callers, given.seconds),
        "locust, 2 workers": lambda target, callers: locust(target, material, callers, given.seconds, *shared_by(2)),
    }
    table = Table("under way", "generator", "images/s", "of asyncio's", "p50", "p99", "CPU ms a request")
    console = Console()
    flags = ("--threads", str(given.threads))
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(given.bundle, Path(folder, "log"), port=0, metrics_port=0, flags=flags) as server,
    ):
        for callers in CALLERS:
            found: dict[str, list[dict[str, float]]] = {name: [] for name in generators}
            for _ in range(given.rounds):
                for name, ask in generators.items():
                    if callers > 1 or "workers" not in name:  # one caller can't be shared
                        found[name].append(ask(server.address, callers))
            for name, runs in found.items():
                if runs:
                    table.add_row(str(callers), name, *_cells(runs, found["asyncio"]))
    console.print("p50 and p99 as times asyncio's of the same round; medians over the rounds")
    console.print(table)


def _cells(runs: list[dict[str, float]], of: list[dict[str, float]]) -> list[str]:
    """The middle of the rounds, each against the other generator's of the same round."""
    speed = statistics.median(run["images_per_second"] for run in runs)
    ratios = [
        statistics.median(run[name] / other[name] for run, other in zip(runs, of, strict=True))
        for name in ("images_per_second", "p50", "p99")
    ]
    cost = statistics.median(1000 * run["cpu_share"] / run["images_per_second"] for run in runs)
    return [f"{speed:.1f}", *(f"{ratio:.2f}" for ratio in ratios), f"{cost:.2f}"]


if __name__ == "__main__":
    main()
