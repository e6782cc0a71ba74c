"""What bypasses cost on a classifier with gradients: ``python -m benchmarks.bypass CLASSIFIER GRADIENTS IMAGES``.

Pairs of images of one class that are classified correctly are joined by paths of 51 points with one round of bypasses.
Rounds of the first table take their contenders in turn, so that what slows the machine slows all; ratios are medians.
The second table is measured on some pairs and scaled to 1,000, or with ``--pairs 1000`` measured outright.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from detector.calibration.inputs import load_inputs
from detector.classifiers.options import SpecOptions
from detector.paths.bypass import BypassOptions, bypass, onto_boxed_hyperplane
from detector.paths.chains import ChainOptions
from detector.progress import Silence
from detector.research.connectivity.choosing import correct_images, real_pairs
from detector.research.connectivity.connecting import chains_of, connect_job
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import run_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.torch import TorchClassifier
    from detector.paths.pairing import Pairs

_BATCHES = (16, 64, 128)
_ROUNDS = 3
_STEPS = 2
_GOAL_PAIRS = 1000
_WORST = ChainOptions(epsilon=0, bypass=BypassOptions(stop_loss=0))
_RUNS = {
    "every pair, every step (epsilon 0, no stop)": _WORST,
    "every pair, settled ones stop (epsilon 0)": replace(_WORST, bypass=BypassOptions()),
    "pairs above epsilon 0.1, every step": replace(_WORST, epsilon=0.1),
    "pairs above epsilon 0.1, settled ones stop": ChainOptions(),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("gradients", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--pairs", type=int, default=64, help="of the second table")
    parser.add_argument("--limit", type=int, help="images read; all where more pairs are asked for than they make")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads of both classifiers")
    parser.add_argument("--only", type=int, nargs="*", help="which rows of the second table, from 0; all by default")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    inputs = load_inputs(
        given.classifier,
        given.images,
        spec=SpecOptions(),
        progress=Silence(),
        gradients=given.gradients,
        limit=given.limit or max(4 * given.pairs, 2 * max(_BATCHES)),
        threads=given.threads,
        taps=False,
    )
    if inputs.gradients is None:
        parser.error("gradients: this classifier has none")
    pairs = real_pairs(*correct_images(inputs), seed=0)
    console = Console()
    console.print(_steps_table(inputs.gradients, pairs))
    models = Models(inputs.loaded.classifier, inputs.gradients)
    chosen = [run for number, run in enumerate(_RUNS.items()) if given.only is None or number in given.only]
    console.print(_runs_table(models, pairs[: given.pairs], dict(chosen)))


def _steps_table(gradients: TorchClassifier, pairs: Pairs) -> Table:
    """Steps of bypasses by batch, and the share of the projection in them."""
    table = Table("points at once", "pair-steps/s", "the projection's share")
    steps = BypassOptions(steps=_STEPS, stop_loss=0)
    for batch in _BATCHES:
        some = pairs[np.arange(batch) % len(pairs)]
        middle = (some.starts + some.ends) / np.float32(2)
        across = some.ends - some.starts
        fixed, normal = torch.tensor(middle, device=gradients.device), torch.tensor(across, device=gradients.device)
        moved = fixed + steps.learning_rate * torch.randn_like(fixed).sign()  # as far as Adam goes at first
        whole: list[float] = []
        projected: list[float] = []
        for _ in range(_ROUNDS + 1):
            whole.append(_seconds(lambda: bypass(gradients, middle, across, some.classes, steps)))  # noqa: B023 - now
            projected.append(_STEPS * _seconds(lambda: onto_boxed_hyperplane(moved, fixed, normal)))  # noqa: B023 - now
        speed = statistics.median(_STEPS * batch / seconds for seconds in whole[1:])
        share = statistics.median(part / all_ for part, all_ in zip(projected[1:], whole[1:], strict=True))
        table.add_row(f"{batch}", f"{speed:.0f}", f"{share:.1%}")
    return table


def _runs_table(models: Models, pairs: Pairs, runs: dict[str, ChainOptions]) -> Table:
    """Whole connections, and what 1,000 pairs take."""
    table = Table(f"{len(pairs)} pairs", "seconds", f"minutes for {_GOAL_PAIRS:,}", "connected at 0.1", "of low ends")
    for name, options in runs.items():
        begin = time.perf_counter()
        ((_, arrays),) = run_jobs([connect_job(pairs, options)], LocalRunner(models), Silence())
        seconds = time.perf_counter() - begin
        chains = chains_of(arrays)
        connected, low = chains.connected(0.1)[:, -1], chains.straight.ends < 0.1  # noqa: PLR2004 - the issue's epsilon
        minutes = seconds * _GOAL_PAIRS / len(pairs) / 60
        table.add_row(
            name, f"{seconds:.1f}", f"{minutes:.1f}", f"{connected.mean():.1%}", f"{connected[low].mean():.1%}"
        )
    return table


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
