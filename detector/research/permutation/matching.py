"""Weight matching: permuting one network's units so that its weights come as close to another's as can be.

Coordinate ascent (Ainsworth et al., git re-basin; Sharma et al., Sec. 2): groups of units are visited in random order,
and each is assigned anew with all others as they are, until a sweep changes nothing. Every assignment is solved exactly
(SciPy), but the whole is a local optimum: restarts help, above all where residual sums join layers. Several checkpoints
of each of two networks can be matched at once, by one permutation for all (super-alignment).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from detector.errors import AnalysisError
from detector.research.permutation.kernels import Kernel, Likeness
from detector.research.permutation.spec import composed, identity, permuted, random_permutations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.program import State
    from detector.research.permutation.spec import PermutationSpec, UnitGroup

_LEAST_GAIN = 1e-12  # of a sweep, of the objective


@dataclass(frozen=True, kw_only=True)
class MatchingOptions:
    """How weights are matched.

    Args:
        kernel: How alike two units are.
        vectors: Whether biases and the scales of norms count too, or weights of two axes and more alone.
        sweeps: Over all groups, at most.
        restarts: From how many starts: the first from the network as it is, the others from random permutations. The
            best is kept.
        seed: Of the order of groups and of the starts.

    Raises:
        AnalysisError: A value is out of range.
    """

    kernel: Kernel = Kernel.LINEAR
    vectors: bool = True
    sweeps: int = 100
    restarts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.sweeps, self.restarts) < 1:
            raise AnalysisError("matching: sweeps and restarts must be at least 1")


@dataclass(frozen=True, eq=False)
class Matched:
    """How one network's units are to be permuted to match another's.

    Args:
        permutations: By group.
        objectives: After the start and after each sweep, how alike the networks are by the kernel, rising.
    """

    permutations: dict[str, NDArray[np.int64]]
    objectives: tuple[float, ...]


def match_weights(
    spec: PermutationSpec, references: Sequence[State], moved: Sequence[State], options: MatchingOptions
) -> Matched:
    """Match networks by their weights.

    Args:
        spec: Of their architecture.
        references: The network to come close to, or several checkpoints of it.
        moved: The network whose units are permuted, or as many checkpoints of it.
        options: How.

    Raises:
        AnalysisError: There are not as many of one as of the other, or one does not fit `spec`; names it.
    """
    if not references or len(references) != len(moved):
        raise AnalysisError(
            f"matching: as many networks as references are needed, not {len(moved)} and {len(references)}"
        )
    for place, (one, other) in enumerate(zip(references, moved, strict=True)):
        spec.check(one, name=f"references[{place}]")
        spec.check(other, name=f"moved[{place}]")
    found = [_ascended(spec, references, moved, options, start) for start in range(options.restarts)]
    return max(found, key=lambda matched: matched.objectives[-1])


def _ascended(
    spec: PermutationSpec, references: Sequence[State], moved: Sequence[State], options: MatchingOptions, start: int
) -> Matched:
    """One ascent to the end."""
    rng = np.random.default_rng((options.seed, start))
    found = random_permutations(spec, int(rng.integers(2**32))) if start else identity(spec)
    current = [permuted(spec, state, found) for state in moved]
    objectives = [_alike(spec, spec.groups, references, current, options)]
    for _ in range(options.sweeps):
        for number in rng.permutation(len(spec.groups)):
            group = spec.groups[number]
            step = _better(spec, group, references, current, options)
            if step is not None:
                current = [permuted(spec, state, {group.name: step}) for state in current]
                found = composed(found, {group.name: step})
        objectives.append(_alike(spec, spec.groups, references, current, options))
        if objectives[-1] - objectives[-2] <= _LEAST_GAIN * abs(objectives[-2]):
            break
    return Matched(found, tuple(objectives))


def assigned(likeness: Tensor, group: str) -> NDArray[np.int64]:
    """int64 (units,): the units of the second network that take the places of the first one's, for the largest sum.

    Args:
        likeness: float64 (units, units).
        group: Whose units, for errors.

    Raises:
        AnalysisError: Some of it is no finite number: what was multiplied is too large.
    """
    if not bool(likeness.isfinite().all()):
        raise AnalysisError(
            f"the units of {group} can't be matched: how alike they are is no finite number; are weights or "
            "activations so large that they overflow?"
        )
    _, columns = linear_sum_assignment(likeness.numpy(), maximize=True)
    return columns.astype(np.int64)


def _better(
    spec: PermutationSpec,
    group: UnitGroup,
    references: Sequence[State],
    current: Sequence[State],
    options: MatchingOptions,
) -> NDArray[np.int64] | None:
    """How the units of one group are to be permuted, all others as they are; None where they are best as they are.

    Where a group stands on both axes of one tensor the best assignment is not found by one, so it is taken only where
    it helps.
    """
    likeness = gram(spec, group, references, current, options)
    step = assigned(likeness, group.name)
    before, after = float(likeness.trace()), float(likeness[np.arange(len(step)), step].sum())
    if after - before <= _LEAST_GAIN * abs(before):
        return None
    if len({place.tensor for place in group.places}) == len(group.places):
        return step
    tried = [permuted(spec, state, {group.name: step}) for state in current]
    reached, stood = (_alike(spec, (group,), references, states, options) for states in (tried, current))
    return step if reached > stood else None


def gram(
    spec: PermutationSpec,
    group: UnitGroup,
    references: Sequence[State],
    others: Sequence[State],
    options: MatchingOptions,
) -> Tensor:
    """How alike each unit of a group in the references is to each in the others: float64 (units, units).

    The kernel compares one tensor at a time; its values are summed over tensors and networks.
    """
    total = torch.zeros(group.size, group.size, dtype=torch.float64)
    for one, other in zip(references, others, strict=True):
        for place in group.places:
            if not _counts(spec, one, place.tensor, options):
                continue
            likeness = Likeness(group.size, options.kernel)
            likeness.add(place.rows(one[place.tensor]), place.rows(other[place.tensor]))
            total += likeness.gram
    return total


def _alike(
    spec: PermutationSpec,
    groups: Sequence[UnitGroup],
    references: Sequence[State],
    others: Sequence[State],
    options: MatchingOptions,
) -> float:
    """How alike networks are in the tensors where groups stand.

    For the linear kernel the inner product of these tensors, each counted once, which every assignment raises by what
    it gains. The sum over groups would count twice a tensor that stands between two, and might fall. Other kernels
    compare a tensor differently from either side, and have no such sum; both sides are added.
    """
    if options.kernel is not Kernel.LINEAR:
        return sum(float(gram(spec, group, references, others, options).trace()) for group in groups)
    tensors = {place.tensor for group in groups for place in group.places}
    return sum(
        float((one[name].double() * other[name].double()).sum())
        for one, other in zip(references, others, strict=True)
        for name in sorted(tensors)
        if _counts(spec, one, name, options)
    )


def _counts(spec: PermutationSpec, state: State, tensor: str, options: MatchingOptions) -> bool:
    return tensor not in spec.buffers and (options.vectors or state[tensor].ndim > 1)
