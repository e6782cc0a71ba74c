"""Three networks of one width: their barriers as they are, aligned, and aligned through one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.research.permutation.activations import match_activations
from detector.research.permutation.agreement import agreement, fixed_points
from detector.research.permutation.barriers import BATCH, line, simplex
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.measuring import Setting
from detector.research.permutation.references import around, through_reference
from detector.research.permutation.spec import permuted
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.progress import Advance
    from detector.research.permutation.barriers import Barrier
    from detector.research.permutation.spec import Permutations
    from detector.shards.base import Models
    from detector.shards.stages import Arrays

TRIPLE: Final = 3
SETS: Final = ("training", "held-out")
"""What barriers are measured on."""
_A, _B, _C = range(TRIPLE)


class Comparison(StrEnum):
    """Which two networks are mixed: A and B; A and P[B]; A and B, both aligned to C; A and itself, led around."""

    NAIVE = "as they are"
    DIRECT = "weights, A to P[B]"
    REFERENCE = "weights, both through C"
    CYCLE = "weights, A to itself by C and B"
    ACTIVATIONS = "activations, A to P[B]"
    ACTIVATIONS_REFERENCE = "activations, both through C"


@dataclass(frozen=True, eq=False)
class Triples(Setting):
    """What the triples of one width share; see `Setting` for the rest.

    Args:
        mixtures: Drawn from the simplex of three, besides its corners and its middle.
        matching: How weights are matched.
        seed: Of what is drawn.
    """

    mixtures: int
    matching: MatchingOptions
    seed: int

    @property
    def steps(self) -> int:
        """Mixtures measured for each triple."""
        return len(SETS) * (len(Comparison) * self.points + TRIPLE + 1 + self.mixtures)


def triples_job(title: str, weights: Arrays, shared: Triples) -> Job:
    """Each three networks that follow one another, a shard.

    Args:
        title: For people who watch.
        weights: As `trained_networks` gives them; as many networks as triples hold, one step each.
        shared: What they share.

    Returns:
        Arrays, one row a triple: ``barriers`` float64 (triples, comparisons, sets, 2), of loss (nats) and error;
        ``curves`` (triples, comparisons, sets, points), the error of each mixture; ``simplex`` and ``middle``
        (triples, sets, 2), the largest barrier within the triangle and that of the mean of all three; ``single``
        and ``merged`` (triples, sets, 2), loss and error of one network (the mean of three) and of their mean;
        ``agreement`` (triples, 3), shares of units: through C and directly matched alike by weights, by
        activations, and left in place by the cycle; NaN where there are no living units.
    """
    count = len(next(iter(weights.values()))) // TRIPLE
    cut = tuple(Shard(i, slice(i, i + 1), shared.steps) for i in range(count))

    def part(shard: Shard) -> Arrays:
        rows = slice(TRIPLE * shard.number, TRIPLE * (shard.number + 1))
        return {name: value[rows, 0] for name, value in weights.items()}

    return Job(title, _measured, shared, part, cut)


def _measured(models: Models, shared: Triples, weights: Arrays, advance: Advance) -> Arrays:
    del models
    architecture = shared.architecture
    spec = architecture.spec
    states = [architecture.state(weights, number) for number in range(TRIPLE)]

    def by_weights(moved: int, reference: int) -> Permutations:
        return match_weights(spec, [states[reference]], [states[moved]], shared.matching).permutations

    def by_activations(moved: int, reference: int) -> Permutations:
        batches = shared.train.batches(BATCH)
        return match_activations(architecture.program, spec, states[reference], states[moved], batches)

    weighed, active = _Aligned.by(by_weights), _Aligned.by(by_activations)
    led = around([weighed.a_to_c, by_weights(_C, _B), weighed.b_to_a])

    def moved(number: int, permutations: Permutations) -> dict[str, Tensor]:
        return permuted(spec, states[number], permutations)

    pairs = {
        Comparison.NAIVE: (states[_A], states[_B]),
        Comparison.DIRECT: (states[_A], moved(_B, weighed.b_to_a)),
        Comparison.REFERENCE: (moved(_A, weighed.a_to_c), moved(_B, weighed.b_to_c)),
        Comparison.CYCLE: (states[_A], moved(_A, led)),
        Comparison.ACTIVATIONS: (states[_A], moved(_B, active.b_to_a)),
        Comparison.ACTIVATIONS_REFERENCE: (moved(_A, active.a_to_c), moved(_B, active.b_to_c)),
    }
    lines = [shared.on_sets(pairs[which], line(shared.points), advance) for which in Comparison]
    aligned = (*pairs[Comparison.REFERENCE], states[_C])
    triangles = shared.on_sets(aligned, simplex(TRIPLE, shared.mixtures, shared.seed), advance)
    shares = [agreement(spec, states[_A], states[_B], each.b_through_c, each.b_to_a) for each in (weighed, active)]
    shares.append(fixed_points(spec, states[_A], led))
    return {
        "barriers": np.array([[[[one.loss, one.error] for one in sets] for sets in lines]]),
        "curves": np.array([[[one.errors for one in sets] for sets in lines]]),
        "simplex": np.array([[[one.loss, one.error] for one in triangles]]),
        "middle": np.array([[_middle(one) - one.corners.mean(0) for one in triangles]]),
        "single": np.array([[one.corners.mean(0) for one in triangles]]),
        "merged": np.array([[_middle(one) for one in triangles]]),
        "agreement": np.array([[np.nan if share is None else share for share in shares]]),
    }


@dataclass(frozen=True, eq=False)
class _Aligned:
    """The permutations of three networks that one way of matching finds."""

    a_to_c: Permutations
    b_to_c: Permutations
    b_to_a: Permutations

    @classmethod
    def by(cls, match: Callable[[int, int], Permutations]) -> _Aligned:
        return cls(match(_A, _C), match(_B, _C), match(_B, _A))

    @property
    def b_through_c(self) -> Permutations:
        return through_reference(self.b_to_c, self.a_to_c)


def _middle(triangle: Barrier) -> NDArray[np.float64]:
    """Loss and error of the mean of all three."""
    return np.array([triangle.losses[TRIPLE], triangle.errors[TRIPLE]])
