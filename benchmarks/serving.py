"""What the service adds to the engine: ``python -m benchmarks.serving BUNDLE``.

Server and load generator are processes of their own. The engine gets one thread unless told otherwise, so that on two
cores the load generator and the transport have the other; the bare classifier, on as many threads, runs between the
loads and alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.engines import bare_classifier, best_batch
from detector.bundle import read_bundle
from detector.cli.demo_server import ServerProcess
from detector.cli.stopping import terminated_like_interrupted
from detector.engine.fused import FusedEngine

if TYPE_CHECKING:
    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array

LOADS = ((1, 1), (1, 8), (1, 64), (64, 1), (64, 4))
"""Images per request, and requests under way."""
_HEALTH = "/grpc.health.v1.Health/Check"
_BARE_IMAGES = 1024
_ENGINE_ROUNDS = 50


def load(target: str, images: int, callers: int, seconds: float, *further: str) -> dict[str, float]:
    """Let another process ask, and give back what it measured; `further` options go to `benchmarks.load`."""
    options = ["--images", str(images), "--callers", str(callers), "--seconds", str(seconds)]
    done = subprocess.run(  # noqa: S603 - this project's own command
        [sys.executable, "-m", "benchmarks.load", target, *options, *further],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def engine_seconds(engine: FusedEngine, image: Float32Array) -> float:
    """Median time of the engine for one image."""
    times = []
    for _ in range(_ENGINE_ROUNDS):
        begin = time.perf_counter()
        engine.evidence(image)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


@dataclass(frozen=True)
class Idle:
    """What one image takes while nothing else is asked, seconds.

    Args:
        engine: The engine alone, in a loop.
        longer: How much longer a client of the server waits that asks one call after the other, as scripts do.
        health: What a health check takes that comes as seldom: what any call costs here.
    """

    engine: float
    longer: float
    health: float


def idle_seconds(target: str, bundle: Bundle, threads: int, *, seconds: float, rounds: int) -> Idle:
    """One image on an idle server: medians over rounds.

    The engine runs before and after each load, so that what slows the machine slows both.
    """
    engine = FusedEngine(bundle, threads=threads)
    image = np.random.default_rng(0).random((1, *bundle.manifest.spec.shape), np.float32)
    engine_seconds(engine, image)
    found = []
    with tempfile.NamedTemporaryFile() as empty:
        check = ("--method", _HEALTH, "--message", empty.name)
        for _ in range(rounds):
            before = engine_seconds(engine, image)
            asked = load(target, 1, 1, seconds, "--blocking")
            health = load(target, 1, 1, seconds, "--blocking", *check, "--pause", str(before))
            alone = (before + engine_seconds(engine, image)) / 2
            found.append((alone, asked["p50"] - alone, health["p50"]))
    return Idle(*np.median(found, axis=0).tolist())


@terminated_like_interrupted()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the engine and of the bare classifier")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    bundle = read_bundle(given.bundle)
    forwards = bundle.manifest.plan.forwards_per_image
    bare = bare_classifier(bundle, given.threads)
    batch = best_batch(bare)
    table = Table(
        "images per request", "under way", "images/s", "share of bare forwards/s", "p50 ms", "p99 ms", "client CPU"
    )
    console = Console()
    flags = ("--threads", str(given.threads))
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(given.bundle, Path(folder, "server.log"), port=0, metrics_port=0, flags=flags) as server,
    ):
        idle = idle_seconds(server.address, bundle, given.threads, seconds=given.seconds, rounds=given.rounds)
        for images, callers in LOADS:
            found, shares = [], []
            for _ in range(given.rounds):
                before = bare(_BARE_IMAGES, batch)
                found.append(load(server.address, images, callers, given.seconds))
                bare_speed = 2 * _BARE_IMAGES / (before + bare(_BARE_IMAGES, batch))
                shares.append(found[-1]["images_per_second"] * forwards / bare_speed)
            middle = {name: statistics.median(run[name] for run in found) for name in found[0]}
            table.add_row(
                str(images),
                str(callers),
                f"{middle['images_per_second']:.1f}",
                f"{statistics.median(shares):.2f}",
                f"{1000 * middle['p50']:.1f}",
                f"{1000 * middle['p99']:.1f}",
                f"{middle['cpu_share']:.2f}",
            )
    console.print(f"{forwards} forwards per image; bare classifier at its best batch, {batch}; {given.threads} threads")
    console.print(
        f"one image takes the engine {1000 * idle.engine:.2f} ms, and a client of the idle server "
        f"{1000 * idle.longer:.2f} ms more; a health check, as seldom, takes {1000 * idle.health:.2f} ms"
    )
    console.print(table)


if __name__ == "__main__":
    main()
