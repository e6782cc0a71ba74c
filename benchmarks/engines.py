"""The fused engine against the reference engine and the bare classifier: ``python -m benchmarks.engines BUNDLE``.

Each round times all contenders one after the other, so that what slows the machine slows all; ratios are medians over
the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from detector.bundle import read_bundle
from detector.classifiers.session import only_input, open_session
from detector.classifiers.taps import remove_taps
from detector.detector import Detector
from detector.engine.choice import EngineChoice
from detector.engine.fused import FusedEngine
from detector.engine.reference import ReferenceEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.bundle import Bundle
    from detector.engine.base import Engine

BATCHES = (1, 8, 64)
_BARE_BATCHES = (1, 4, 8, 16, 32, 64, 128)
_BARE_IMAGES = 128
_ROUNDS = 9


def bare_classifier(bundle: Bundle, threads: int) -> Callable[[int, int], float]:
    """Times the classifier alone, without taps: seconds for some images in batches of a size."""
    session = open_session(remove_taps(bundle.graph), threads=threads).runtime
    name = only_input(session).name
    spec = bundle.manifest.spec
    images = spec.encode(np.random.default_rng(0).random((max(_BARE_BATCHES), *spec.shape), np.float32))

    def run(count: int, batch: int) -> float:
        runs = -(-count // batch)
        begin = time.perf_counter()
        for _ in range(runs):
            session.run(None, {name: images[:batch]})
        return (time.perf_counter() - begin) * count / (runs * batch)

    return run


def best_batch(run: Callable[[int, int], float]) -> int:
    """The batch at which the bare classifier answers most images per second."""
    speeds = {batch: min(run(_BARE_IMAGES, batch) for _ in range(3)) for batch in _BARE_BATCHES}
    return min(speeds, key=speeds.__getitem__)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("--beside", type=Path, help="another bundle, whose fused engine is timed in the same turns")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads of every contender")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args()
    bundle = read_bundle(given.bundle)
    plain = Detector(bundle, threads=given.threads, engine=EngineChoice.REFERENCE)
    reference = ReferenceEngine(bundle, plain.classifier)
    fused = FusedEngine(bundle, threads=given.threads)
    engines: dict[str, Engine] = {"fused": fused, "reference": reference}
    if given.beside is not None:
        engines["beside"] = FusedEngine(read_bundle(given.beside), threads=given.threads)
    bare = bare_classifier(bundle, given.threads)
    batch = best_batch(bare)
    forwards = bundle.manifest.plan.forwards_per_image
    columns = ["images", "fused ms/image", "reference / fused", "fused, share of bare forwards/s"]
    table = Table(*columns, *(["beside / fused"] if given.beside is not None else []))
    for count in BATCHES:
        images = np.random.default_rng(1).random((count, *bundle.manifest.spec.shape), np.float32)
        times: dict[str, list[float]] = {name: [] for name in (*engines, "bare")}
        for turn in range(given.rounds + 1):
            for name, engine in engines.items():
                begin = time.perf_counter()
                engine.evidence(images)
                times[name].append(time.perf_counter() - begin)
            # As many forwards as the engines made, at the bare classifier's best batch.
            times["bare"].append(bare(count * forwards, batch))
            if not turn:  # the first round warms up
                times = {name: [] for name in times}
        ratios = {
            name: statistics.median(np.divide(times[name], times["fused"]).tolist())
            for name in ("reference", "bare", "beside")
            if name in times
        }
        milliseconds = 1000 * statistics.median(times["fused"]) / count
        table.add_row(str(count), f"{milliseconds:.2f}", *(f"{ratio:.2f}" for ratio in ratios.values()))
    console = Console()
    console.print(f"{forwards} forwards per image; bare classifier at its best batch, {batch}; {given.threads} threads")
    console.print(table)


if __name__ == "__main__":
    main()
