"""Merging: several networks of one architecture aligned to one of them, and the mean of their weights.

After Sharma et al. (strong linear connectivity: networks aligned to a reference are connected with one another too)
and Ainsworth et al., git re-basin (MergeMany). Batch norms' statistics are measured on images, as REPAIR does, where
that serves the merged network better than the mean of the networks' own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.permutation.activations import match_activations
from detector.research.permutation.barriers import BATCH, loss_and_error
from detector.research.permutation.kinds import By
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.normalisation import has_statistics, restated
from detector.research.permutation.spec import composed, identity, interpolated, permuted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.program import Program, State
    from detector.research.permutation.classifiers import Networks
    from detector.research.permutation.spec import Permutations, PermutationSpec
    from detector.training.data import LabelledImages

_MOST_TURNS: Final = 100
_SUM_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class MergingOptions:
    """How networks are merged.

    Args:
        by: What units are paired by.
        matching: How weights are matched.
        reference: Which network the others are aligned to, from 0.
        shares: Of each network in the merged one, none negative, 1 in all; empty for equal ones.
        repeated: Whether, after that, each network is aligned to the mean of the others, turn by turn, until nothing
            changes; by weights.

    Raises:
        AnalysisError: A value is out of range, or contradicts another.
    """

    by: By = By.WEIGHTS
    matching: MatchingOptions = field(default_factory=lambda: MatchingOptions(restarts=3))
    reference: int = 0
    shares: tuple[float, ...] = ()
    repeated: bool = False

    def __post_init__(self) -> None:
        if self.reference < 0:
            raise AnalysisError(f"reference: a network's number, not {self.reference}")
        # Written so that NaN, of which nothing is true, is refused.
        if self.shares and not (min(self.shares) >= 0 and abs(sum(self.shares) - 1) <= _SUM_TOLERANCE):
            raise AnalysisError(f"shares: none negative and 1 in all, not {_listed(self.shares)}")
        if self.repeated and self.by is not By.WEIGHTS:
            raise AnalysisError("repeated merging aligns networks to their mean, which is done by weights alone")

    def parts(self, networks: int) -> tuple[float, ...]:
        """The share of each network.

        Raises:
            AnalysisError: There are not so many shares, or networks.
        """
        if self.reference >= networks:
            raise AnalysisError(f"reference: there are {networks} networks, and no number {self.reference + 1}")
        if self.shares and len(self.shares) != networks:
            raise AnalysisError(f"shares: one for each of {networks} networks, not {_listed(self.shares)}")
        return self.shares or (1 / networks,) * networks

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Merged:
    """Networks merged into one.

    Args:
        state: Of the merged network.
        permutations: By which each network was aligned.
        aligned: The networks so permuted.
        measured: Whether batch norms have statistics measured on images; False where they have the mean of the
            networks' own, or where there are none.
    """

    state: State
    permutations: tuple[Permutations, ...]
    aligned: tuple[State, ...]
    measured: bool


class Alignments:
    """How each of several networks is permuted to match each other one, found when it is first asked for.

    Args:
        networks: Which.
        options: How they are matched.
        images: What activations are compared on.
    """

    def __init__(self, networks: Networks, options: MergingOptions, images: LabelledImages) -> None:
        self._networks, self._options, self._images = networks, options, images
        self._found: dict[tuple[int, int], Permutations] = {}

    def of(self, moved: int, to: int) -> Permutations:
        """How a network is to be permuted to match another, by their numbers."""
        if (moved, to) not in self._found:
            self._found[moved, to] = self._matched(moved, to)
        return self._found[moved, to]

    def _matched(self, moved: int, to: int) -> Permutations:
        spec, states = self._networks.spec, self._networks.states
        if moved == to:
            return identity(spec)
        if self._options.by is By.WEIGHTS:
            return match_weights(spec, [states[to]], [states[moved]], self._options.matching).permutations
        batches = self._images.batches(BATCH)
        return match_activations(self._networks.program, spec, states[to], states[moved], batches)


def merge(networks: Networks, options: MergingOptions, images: LabelledImages, alignments: Alignments) -> Merged:
    """Merge networks.

    Args:
        networks: Of one architecture.
        options: How.
        images: What activations are compared and batch norms measured on; none that the result is judged by.
        alignments: Of the same networks by the same options.

    Raises:
        AnalysisError: The options are not for so many networks; or units can't be matched by activations.
    """
    spec, shares = networks.spec, options.parts(len(networks.states))
    found = [alignments.of(number, options.reference) for number in range(len(networks.states))]
    if options.repeated:
        found = settled(spec, networks.states, shares, found, options.matching)
    aligned = [permuted(spec, state, each) for state, each in zip(networks.states, found, strict=True)]
    state, measured = mixed(networks.program, aligned, shares, images)
    return Merged(state, tuple(found), tuple(aligned), measured)


def mixed(
    program: Program, states: Sequence[State], shares: Sequence[float], images: LabelledImages
) -> tuple[dict[str, Tensor], bool]:
    """The weighted mean of networks, and whether its batch norms were measured on images.

    Both statistics are tried, those of the images and the mean of the networks' own: different networks need the
    first, checkpoints of one training do well with the second, which so few images can't better. Fewer errors on the
    images decide, and where there are as many the lower loss: new statistics make a network less sure of itself, which
    lowers its loss although it errs more. A network whose share is 1 stays as it is.
    """
    mean = interpolated(states, shares)
    if max(shares) == 1 or not has_statistics(program):
        return mean, False
    anew = restated(program, mean, images.batches(BATCH))
    before, after = (loss_and_error(program, state, images)[::-1] for state in (mean, anew))
    return (anew, True) if not before <= after else (mean, False)


def settled(
    spec: PermutationSpec,
    states: Sequence[State],
    shares: Sequence[float],
    start: Sequence[Permutations],
    matching: MatchingOptions,
) -> list[Permutations]:
    """Align each network to the mean of the others, turn by turn, until nothing changes (git re-basin, MergeMany).

    With the linear kernel the sum of all pairs' inner products, weighted by their shares, rises with every change.

    Args:
        spec: Of the networks.
        states: They themselves.
        shares: Of each in the mean.
        start: How each is permuted at first.
        matching: How weights are matched.

    Returns:
        How each is permuted in the end.
    """
    found = list(start)
    current = [permuted(spec, state, each) for state, each in zip(states, found, strict=True)]
    order = np.random.default_rng(matching.seed)
    for _ in range(_MOST_TURNS):
        changed = False
        for number in order.permutation(len(states)):
            mean = _mean_of_others(current, shares, int(number))
            step = match_weights(spec, [mean], [current[number]], matching).permutations
            if any((permutation != np.arange(len(permutation))).any() for permutation in step.values()):
                current[number] = permuted(spec, current[number], step)
                found[number] = composed(found[number], step)
                changed = True
        if not changed:
            break
    return found


def _mean_of_others(states: Sequence[State], shares: Sequence[float], left_out: int) -> dict[str, Tensor]:
    rest = [number for number in range(len(states)) if number != left_out]
    weights: NDArray[np.float64] = np.array([shares[number] for number in rest])
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(rest), 1 / len(rest))
    return interpolated([states[number] for number in rest], weights.tolist())


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
