"""What a matrix of distances between layers costs: ``python -m benchmarks.representation [SPACE ...]``.

Layers are seeded: each mixes the one before with news of its own, as residual blocks do, and ends in a ReLU. Rounds
take the spaces in turn, and medians are of rounds; the processor's time beside that of the wall says what a busy
machine added. With OMP_NUM_THREADS it is what so many cores need.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from detector.research.representation.spaces.kinds import SpaceKind
from detector.research.representation.spaces.registry import space_named

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array, Space

_GOAL_SECONDS = 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "spaces", nargs="*", default=[SpaceKind.ANGULAR_CKA.value], help="names; the word all for each there is"
    )
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--inputs", type=int, default=1_000)
    parser.add_argument("--units", type=int, default=1_024, help="of each layer")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = [kind.value for kind in SpaceKind] if given.spaces == ["all"] else given.spaces
    spaces = [space_named(name) for name in names]
    layers = _layers(given.layers, given.inputs, given.units)
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for _ in range(given.rounds):
        for space in spaces:
            taken[space.name].append(_seconds(space, layers))
    table = Table(
        Column("space", no_wrap=True),
        "points, s",
        "distances, s",
        "together, s",
        f"of {_GOAL_SECONDS} s",
        "processor, s",
    )
    for name, rounds in taken.items():
        points, distances, processor = (statistics.median(each) for each in zip(*rounds, strict=True))
        whole = points + distances
        row = [f"{points:.2f}", f"{distances:.2f}", f"{whole:.2f}", f"{whole / _GOAL_SECONDS:.0%}", f"{processor:.2f}"]
        table.add_row(name, *row)
    Console().print(table)


def _layers(count: int, inputs: int, units: int) -> list[Array]:
    generator = np.random.default_rng(0)
    layer = generator.normal(size=(inputs, units))
    layers = []
    for _ in range(count):
        weights = generator.normal(size=(units, units)) / units**0.5
        layer = np.maximum(layer + 0.5 * layer @ weights, 0)
        layers.append(layer)
    return layers


def _seconds(space: Space, layers: list[Array]) -> tuple[float, float, float]:
    """Of the wall for the points and for their distances, and of the processor for both."""
    start, processor = time.perf_counter(), time.process_time()
    points = [space.point(layer) for layer in layers]
    between = time.perf_counter()
    space.distances(points, points)
    end = time.perf_counter()
    return between - start, end - between, time.process_time() - processor


if __name__ == "__main__":
    main()
