"""What weight matching costs: ``python -m benchmarks.matching [ONE.pt2 OTHER.pt2]``.

Without files, two ResNet-20s of each width, as they are drawn: no two networks have less in common, and an ascent no
further to go. With files, two networks of one architecture. Rounds take their contenders in turn, and medians are of
rounds; the processor's time beside that of the wall says what a busy machine added.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.table import Table

from detector.classifiers.program import Program
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.tracing import derive_spec
from detector.training.architectures import build_network
from detector.training.trainer import drawn

if TYPE_CHECKING:
    from torch import nn

_SHAPE = (3, 32, 32)
_CLASSES = 10
_GOAL_SECONDS = 30


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", help="two torch.export programs; none for networks drawn here")
    parser.add_argument("--widths", type=int, nargs="*", default=[16, 64], help="of the ResNet-20s that are drawn")
    parser.add_argument("--restarts", type=int, nargs="*", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if len(given.files) not in {0, 2}:
        parser.error("files: two, or none")
    table = Table("networks", "starts", "sweeps", "matched, s", f"of {_GOAL_SECONDS} s", "processor, s", "tracing, s")
    if given.files:
        pairs = {" and ".join(file.stem for file in given.files): [_loaded(file) for file in given.files]}
    else:
        pairs = {f"resnet20-{width}": [_drawn(width, seed) for seed in range(2)] for width in given.widths}
    for name, pair in pairs.items():
        for row in _rows(pair, given.restarts, given.rounds):
            table.add_row(name, *row)
    Console().print(table)


def _drawn(width: int, seed: int) -> nn.Module:
    module, _ = drawn(seed, lambda: build_network(f"resnet20-{width}", _SHAPE, _CLASSES))
    return module.eval()


def _loaded(file: Path) -> nn.Module:
    return torch.export.load(file).module()


def _rows(pair: list[nn.Module], restarts: list[int], rounds: int) -> list[list[str]]:
    example = torch.rand(2, *_SHAPE, generator=torch.Generator().manual_seed(0))
    clock = _Clock()
    programs = [Program.of(module, example, name=f"network {number}") for number, module in enumerate(pair)]
    spec = derive_spec(programs[0], example)
    _, traced = clock.seconds()
    one, other = (program.state for program in programs)
    taken: dict[int, list[tuple[float, float]]] = {starts: [] for starts in restarts}
    sweeps: dict[int, int] = {}
    for _ in range(rounds):
        for starts in restarts:
            clock = _Clock()
            found = match_weights(spec, [one], [other], MatchingOptions(restarts=starts))
            taken[starts].append(clock.seconds())
            sweeps[starts] = len(found.objectives) - 1
    rows = []
    for starts, seconds in taken.items():
        wall, processor = (statistics.median(each) for each in zip(*seconds, strict=True))
        share = f"{wall / _GOAL_SECONDS:.0%}"
        rows.append([f"{starts}", f"{sweeps[starts]}", f"{wall:.2f}", share, f"{processor:.2f}", f"{traced:.2f}"])
    return rows


class _Clock:
    """What has passed since it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def seconds(self) -> tuple[float, float]:
        """Of the wall's clock and of this process on any processor."""
        return time.perf_counter() - self._wall, time.process_time() - self._processor


if __name__ == "__main__":
    main()
