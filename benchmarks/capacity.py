"""How much is needed: ``python -m benchmarks.capacity replicas|scaling|calibration BUNDLE ...``.

``replicas`` says how many replicas a traffic needs, from forwards per second that it measures here or is told.
``scaling`` measures what two single-threaded replicas answer beside one. ``calibration`` measures unit costs and
multiplies them out for a calibration of any size, with its memory and its disk space.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving import engine_seconds, load
from benchmarks.sizing import (
    Amount,
    Replica,
    Traffic,
    UnitCosts,
    memory,
    peak_memory,
    size,
    spread_seconds,
    stage_costs,
    store_bytes,
)
from detector.bundle import read_bundle
from detector.calibration.options import CalibrationOptions
from detector.cli.demo_server import ServerProcess
from detector.cli.errors import FAILURE
from detector.cli.stopping import terminated_like_interrupted
from detector.data.source import MAX_SET_BYTES
from detector.detector import Detector
from detector.engine.choice import EngineChoice
from detector.engine.fused import FusedEngine
from detector.engine.walker import PathWalker
from detector.errors import IsthmusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array

_GIB = 1 << 30
_HOUR = 3600
_WALKED = 64  # images
_GRADED = 64  # images of a gradient step, as many as a shard of prototypes has


@terminated_like_interrupted()
def main() -> None:
    """Do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_replicas(commands.add_parser("replicas", help="how many replicas a traffic needs"))
    _add_scaling(commands.add_parser("scaling", help="measure two replicas beside one"))
    _add_calibration(commands.add_parser("calibration", help="what a calibration of a size takes"))
    given = parser.parse_args()
    try:
        given.run(given, Console())
    except (IsthmusError, ValueError) as error:
        sys.stderr.write(f"capacity: {error}\n")
        sys.exit(FAILURE)


def _add_replicas(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, help="says forwards per image; its engine is measured")
    parser.add_argument("--images-per-second", type=float, required=True, help="on average")
    parser.add_argument("--peak", type=float, default=3.0, help="busiest minutes over the average (3)")
    parser.add_argument("--utilisation", type=float, default=0.7, help="of each replica at the peak, at most (0.7)")
    parser.add_argument("--objective", type=float, default=0.25, help="seconds for 99 of 100 images (0.25)")
    parser.add_argument("--spare", type=int, default=1, help="replicas beyond the need (1)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a replica, where it is measured (1)")
    parser.add_argument("--overhead", type=float, default=0.005, help="seconds of transport per request (0.005)")
    parser.add_argument("--forwards-per-second", type=float, help="of one replica; measured here if not given")
    parser.set_defaults(run=replicas)


def replicas(given: argparse.Namespace, console: Console) -> None:
    """Say how many replicas a traffic needs."""
    traffic = Traffic(
        images_per_second=given.images_per_second,
        peak=given.peak,
        utilisation=given.utilisation,
        objective=given.objective,
        spare=given.spare,
    )
    bundle = read_bundle(given.bundle)
    forwards = bundle.manifest.plan.forwards_per_image
    speed, how = given.forwards_per_second, "as given"
    if speed is None:
        image = np.random.default_rng(0).random((1, *bundle.manifest.spec.shape), np.float32)
        speed = forwards / engine_seconds(FusedEngine(bundle, threads=given.threads), image)
        how = f"measured here on {given.threads} threads, one image at a time"
    replica = Replica(forwards_per_second=speed, forwards_per_image=forwards, overhead=given.overhead)
    found = size(traffic, replica)
    console.print(f"one replica: {speed:.0f} forwards/s ({how}), {forwards} per image: {speed / forwards:.1f} images/s")
    console.print(f"at the peak: {traffic.images_per_second * traffic.peak:g} images/s")
    console.print(f"replicas:    {found.replicas}, of which {traffic.spare} to spare; bound by {found.bound_by}")
    console.print(f"then:        {found.utilisation:.0%} busy, p99 {1000 * found.p99:.0f} ms")


def _add_scaling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load (8)")
    parser.add_argument("--rounds", type=int, default=5, help="one replica, then two, so often (5)")
    parser.set_defaults(run=scaling)


def scaling(given: argparse.Namespace, console: Console) -> None:
    """Measure two single-threaded replicas beside one, in turns."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        servers = [
            stack.enter_context(
                ServerProcess(
                    given.bundle, Path(folder, f"{number}.log"), port=0, metrics_port=0, flags=("--threads", "1")
                )
            )
            for number in range(2)
        ]

        def answered(*some: ServerProcess) -> tuple[float, float]:
            """Images per second, and per second of the processor that the servers used."""
            before = sum(processor_seconds(server.pid) for server in some)
            calls = [pool.submit(load, one.address, images=8, callers=2, seconds=given.seconds) for one in some]
            done = [call.result() for call in calls]
            used = sum(processor_seconds(server.pid) for server in some) - before
            return sum(one["images_per_second"] for one in done), sum(one["images"] for one in done) / used

        table = Table(
            "round", "one, images/s", "two, images/s", "two / one", "per processor second: one", "two", "ratio"
        )
        for server in servers:
            answered(server)  # warms it up
        ratios = []
        for turn in range(given.rounds):
            one = np.mean([answered(server) for server in servers], axis=0)
            both = np.array(answered(*servers))
            ratios.append(both / one)
            figures = [
                f"{x:.{digits}f}" for x, digits in zip((*one, *both, *ratios[-1]), (1, 1, 1, 1, 2, 2), strict=True)
            ]
            table.add_row(str(turn + 1), figures[0], figures[2], figures[4], figures[1], figures[3], figures[5])
    console.print(table)
    wall, processor = np.median(ratios, axis=0)
    console.print(
        f"two replicas answer {wall:.2f} times what one does, and {processor:.2f} times as much per processor second"
    )


def processor_seconds(process: int) -> float:
    """What a process has used so far, all its threads together."""
    # After the name, which may hold anything: the 14th and 15th fields of the line are user and system time.
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add_calibration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, help="its classifier and plan are measured")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--side", type=int, help="of the images, pixels; that of the bundle's if not given")
    parser.add_argument("--slower", type=float, default=1.0, help="a forward takes so many times as long as here (1)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 16, 64])
    parser.add_argument("--efficiency", type=float, default=0.9, help="of a worker beside others (0.9)")
    parser.add_argument("--memory", type=float, default=64.0, help="GiB of the machine that starts it (64)")
    parser.set_defaults(run=calibration)


def calibration(given: argparse.Namespace, console: Console) -> None:
    """Multiply measured unit costs out."""
    bundle = read_bundle(given.bundle)
    spec = bundle.manifest.spec
    units, features = unit_costs(bundle)
    side = (given.side, given.side) if given.side else (spec.height, spec.width)
    larger = side[0] * side[1] / (spec.height * spec.width)
    slower = {name: value * given.slower for name, value in vars(units).items()}
    units = replace(units, **{**slower, "corrupt": units.corrupt * larger})
    options = CalibrationOptions()
    amount = Amount(
        images=given.images,
        classes=given.classes,
        pixels=spec.channels * side[0] * side[1],
        features=features,
        options=options,
    )
    words = ", ".join(f"{name} {1000 * value:.2f}" for name, value in vars(units).items())
    console.print(
        f"ms per image on one thread, as measured times {given.slower:g} (corrupt: times {larger:g}, the pixels): "
        f"{words}; {features} features"
    )
    _show_time(amount, units, given, console)
    _show_memory(amount, given, console)


def _show_time(amount: Amount, units: UnitCosts, given: argparse.Namespace, console: Console) -> None:
    costs = stage_costs(amount, units)
    table = Table("stage", "shards", "hours of one thread")
    for cost in costs:
        table.add_row(cost.name, f"{cost.shards:,}", f"{cost.seconds / _HOUR:,.2f}")
    console.print(table)
    for workers in given.workers:
        hours = spread_seconds(costs, workers, given.efficiency) / _HOUR
        console.print(f"{workers:>5} workers: {hours:,.1f} hours")


def _show_memory(amount: Amount, given: argparse.Namespace, console: Console) -> None:
    parts = memory(amount)
    table = Table("memory", "held, GiB", "while it is made, GiB")
    for part in parts:
        table.add_row(part.name, f"{part.held / _GIB:,.2f}", f"{part.peak / _GIB:,.2f}")
    console.print(table)
    most, when = peak_memory(parts)
    console.print(f"most at once {most / _GIB:,.1f} GiB ({when}); on disk {store_bytes(amount) / _GIB:,.1f} GiB")
    if parts[0].held > MAX_SET_BYTES:
        most_images = MAX_SET_BYTES // amount.pixels
        console.print(f"breaks first: images are read into memory, {most_images:,} of this size at most")
    elif most > given.memory * _GIB:
        console.print(f"breaks first: {when}, beyond {given.memory:g} GiB")
    else:
        console.print(f"fits into {given.memory:g} GiB")


def unit_costs(bundle: Bundle) -> tuple[UnitCosts, int]:
    """Measure a bundle's classifier on one thread: processor seconds per image, and how many features a profile has."""
    import torch

    from detector.classifiers.onnx_gradients import load_onnx_gradients
    from detector.classifiers.taps import remove_taps
    from detector.corruptions import everyday
    from detector.scoring.features import profile_features

    torch.set_num_threads(1)
    classifier = Detector(bundle, threads=1, engine=EngineChoice.REFERENCE).classifier
    gradients = load_onnx_gradients(remove_taps(bundle.graph)).classifier(bundle.manifest.spec)
    images = np.random.default_rng(0).random((256, *bundle.manifest.spec.shape), np.float32)
    some, graded = images[:_WALKED], torch.from_numpy(images[:_GRADED])
    walker = PathWalker(classifier, bundle.parts.prototypes, bundle.manifest.plan)

    def walk(count: int) -> Float32Array:
        return profile_features(walker.profile(some[:count]), bundle.parts.statistics)

    def step() -> None:
        pixels = graded.clone().requires_grad_()
        torch.autograd.grad(gradients.differentiable_logits(pixels).sum(), [pixels])

    units = UnitCosts(
        forward=_seconds(lambda: classifier.logits(images)) / len(images),
        walk=_seconds(lambda: walk(len(some))) / len(some),
        corrupt=_seconds(lambda: everyday(some, seed=0)) / len(some),
        gradient=_seconds(step) / _GRADED,
        plain=_seconds(lambda: gradients.logits(images[:_GRADED])) / _GRADED,
    )
    return units, walk(1).shape[1]


def _seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """The processor's time, which others on a busy machine don't lengthen: median of a few runs, after a warm-up."""
    times = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
