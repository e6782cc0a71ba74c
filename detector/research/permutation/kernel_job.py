"""Pairs of networks aligned in every way there is, each measured alike."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from detector.research.permutation.activations import match_activations
from detector.research.permutation.barriers import BATCH
from detector.research.permutation.kernels import Kernel
from detector.research.permutation.matching import match_weights
from detector.research.permutation.spec import permuted
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from detector.classifiers.program import State
    from detector.progress import Advance
    from detector.research.permutation.matching import MatchingOptions
    from detector.research.permutation.measuring import Setting
    from detector.research.permutation.spec import Permutations
    from detector.shards.base import Models
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages


class By(StrEnum):
    """What units are matched by."""

    NOTHING = "nothing"
    WEIGHTS = "weights"
    ACTIVATIONS = "activations"


@dataclass(frozen=True)
class Method:
    """A way of aligning two networks.

    Args:
        by: What units are matched by.
        kernel: How alike two units are; of activations, the correlation is the cosine of what is centred.
        vectors: Of weights: whether biases and the scales of norms count too.
        restarts: Of weights: from how many starts.
    """

    by: By
    kernel: Kernel = Kernel.LINEAR
    vectors: bool = True
    restarts: int = 1

    @property
    def name(self) -> str:
        """For people."""
        if self.by is By.NOTHING:
            return "none"
        without = "" if self.vectors else ", without vectors"
        again = f", {self.restarts} starts" if self.restarts > 1 else ""
        return f"{self.by}, {self.kernel}{without}{again}"


NONE: Final = Method(By.NOTHING)
LINEAR: Final = Method(By.WEIGHTS)
COSINE: Final = Method(By.WEIGHTS, Kernel.COSINE)
BARE_LINEAR: Final = Method(By.WEIGHTS, vectors=False)
BARE_COSINE: Final = Method(By.WEIGHTS, Kernel.COSINE, vectors=False)
METHODS: Final = (
    NONE,
    LINEAR,
    COSINE,
    BARE_LINEAR,
    BARE_COSINE,
    *(Method(By.WEIGHTS, kernel, restarts=5) for kernel in (Kernel.LINEAR, Kernel.COSINE)),
    *(Method(By.ACTIVATIONS, kernel) for kernel in Kernel),
)
"""All that are compared, in the order of arrays' axes."""


@dataclass(frozen=True, eq=False)
class Alignments:
    """What all pairs share.

    Args:
        setting: What they are measured on.
        activations: Images of training whose activations are matched.
        matching: How weights are matched, but for what methods differ in.
    """

    setting: Setting
    activations: LabelledImages
    matching: MatchingOptions


def kernels_job(title: str, weights: Arrays, shared: Alignments) -> Job:
    """Each two networks that follow one another, a shard.

    Args:
        title: For people who watch.
        weights: As `trained_networks` gives them, one step each.
        shared: What they share.

    Returns:
        Arrays, one row a pair, for each of `METHODS`: those of `Setting.curves`; ``cosine`` float64, between the
        parameters of the first network and of the second as it is permuted, which tells how close they come by what
        weight matching with the linear kernel looks for; ``seconds``, what finding the permutations took.
    """
    count = len(next(iter(weights.values()))) // 2
    cut = tuple(Shard(i, slice(i, i + 1), len(METHODS)) for i in range(count))

    def part(shard: Shard) -> Arrays:
        rows = slice(2 * shard.number, 2 * shard.number + 2)
        return {name: value[rows, 0] for name, value in weights.items()}

    return Job(title, _compared, shared, part, cut)


def _compared(models: Models, shared: Alignments, weights: Arrays, advance: Advance) -> Arrays:
    del models
    architecture = shared.setting.architecture
    one, other = (architecture.state(weights, number) for number in range(2))
    rows: list[Arrays] = []
    for method in METHODS:
        began = time.perf_counter()
        permutations = _matched(shared, method, one, other)
        seconds = time.perf_counter() - began
        moved = permuted(architecture.spec, other, permutations)
        curves = shared.setting.curves(one, moved)
        cosine = _cosine(one, moved, architecture.spec.buffers)
        rows.append({**curves, "cosine": np.array(cosine), "seconds": np.array(seconds)})
        advance(1)
    return {name: np.stack([row[name] for row in rows])[None] for name in rows[0]}


def _matched(shared: Alignments, method: Method, one: State, other: State) -> Permutations:
    architecture = shared.setting.architecture
    match method.by:
        case By.NOTHING:
            return {}
        case By.WEIGHTS:
            options = replace(shared.matching, kernel=method.kernel, vectors=method.vectors, restarts=method.restarts)
            return match_weights(architecture.spec, [one], [other], options).permutations
        case By.ACTIVATIONS:
            batches = shared.activations.batches(BATCH)
            return match_activations(architecture.program, architecture.spec, one, other, batches, kernel=method.kernel)


def _cosine(one: State, other: State, buffers: frozenset[str]) -> float:
    """Between all parameters of two networks."""
    here, there = (
        torch.cat([value.flatten().double() for name, value in state.items() if name not in buffers])
        for state in (one, other)
    )
    return float(torch.nn.functional.cosine_similarity(here, there, dim=0))
