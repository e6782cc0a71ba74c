"""Which of a network's units may change places, and where in its parameters each of them stands.

Permuting the hidden units of a layer, together with all that reads them, leaves the network's function as it is. A
group is a set of units that may be permuted among themselves; units that a residual sum joins are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.program import State

    Permutations = Mapping[str, NDArray[np.int64]]
    """By the group's name, int64 (units,): unit i of the permuted network is unit p[i] of the one it was made of. A
    group that is not named stays as it is."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where the units of a group stand in one tensor.

    Args:
        tensor: Its name.
        axis: Along which axis; None where they stand in elements of the flattened tensor.
        index: int64 (units, m), the positions of each unit, m for each in the same order.
    """

    tensor: str
    axis: int | None
    index: NDArray[np.int64]

    def rows(self, value: Tensor) -> Tensor:
        """What belongs to each unit: (units, numbers)."""
        return self._lines(value)[self.index.ravel()].reshape(len(self.index), -1)

    def permuted(self, value: Tensor, permutation: NDArray[np.int64]) -> Tensor:
        """The tensor with its units in another order."""
        lines = self._lines(value)
        moved = lines.clone()
        moved[self.index.ravel()] = lines[self.index[permutation].ravel()]
        return moved.reshape(value.shape) if self.axis is None else moved.movedim(0, self.axis).contiguous()

    def _lines(self, value: Tensor) -> Tensor:
        return value.reshape(-1) if self.axis is None else value.movedim(self.axis, 0)


@dataclass(frozen=True, eq=False)
class UnitGroup:
    """Units that may be permuted among themselves.

    Args:
        name: Of the tensor that makes the first of them, and a number where it makes several groups.
        size: How many units; at least 2.
        places: Where they stand in parameters and buffers.
        features: Where they show in what the network computes, in the order in which it is computed; there a place's
            tensor is an operation of the traced program.
    """

    name: str
    size: int
    places: tuple[Place, ...]
    features: tuple[Place, ...] = ()


@dataclass(frozen=True, eq=False)
class PermutationSpec:
    """The symmetries of one architecture.

    Args:
        groups: All that may be permuted.
        shapes: Of every tensor of the network, by name.
        buffers: Those that no gradient changes, such as a batch norm's statistics: permuted, but not matched.
    """

    groups: tuple[UnitGroup, ...]
    shapes: Mapping[str, tuple[int, ...]]
    buffers: frozenset[str] = frozenset()

    @property
    def units(self) -> int:
        """Units in all groups."""
        return sum(group.size for group in self.groups)

    def check(self, state: State, *, name: str) -> None:
        """Refuse what is no network of this architecture.

        Args:
            state: Its parameters and buffers.
            name: What to call it in errors.

        Raises:
            AnalysisError: A tensor is missing, of another shape, or not finite; names it.
        """
        for tensor, shape in self.shapes.items():
            if tensor not in state:
                raise AnalysisError(f"{name}: has no tensor {tensor}; networks of one architecture can be aligned")
            found = tuple(state[tensor].shape)
            if found != shape:
                raise AnalysisError(f"{name}: {tensor} has the shape {found}, not {shape}")
            if state[tensor].is_floating_point() and not bool(state[tensor].isfinite().all()):
                raise AnalysisError(f"{name}: {tensor} holds what is no finite number")


def permuted(spec: PermutationSpec, state: State, permutations: Permutations) -> dict[str, Tensor]:
    """The same network with its units in another order: its function stays.

    Args:
        spec: Of its architecture.
        state: Its parameters and buffers; unchanged.
        permutations: Of its groups.

    Raises:
        AnalysisError: A permutation is none, or of no group.
    """
    result = dict(state)
    for group, permutation in _named(spec, permutations):
        for place in group.places:
            result[place.tensor] = place.permuted(result[place.tensor], permutation)
    return result


def identity(spec: PermutationSpec) -> dict[str, NDArray[np.int64]]:
    """The permutations that leave all in place."""
    return {group.name: np.arange(group.size) for group in spec.groups}


def random_permutations(spec: PermutationSpec, seed: int) -> dict[str, NDArray[np.int64]]:
    """Any, each as likely."""
    rng = np.random.default_rng(seed)
    return {group.name: rng.permutation(group.size) for group in spec.groups}


def composed(first: Permutations, then: Permutations) -> dict[str, NDArray[np.int64]]:
    """What does the work of two permutations of the same groups, one after the other."""
    return {**first, **{name: first[name][after] for name, after in then.items()}}


def inverse(permutations: Permutations) -> dict[str, NDArray[np.int64]]:
    """What undoes permutations."""
    return {name: np.argsort(permutation) for name, permutation in permutations.items()}


def interpolated(states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum of networks of one architecture; tensors of whole numbers are the first one's."""
    return {
        name: torch.stack([weight * state[name] for weight, state in zip(weights, states, strict=True)]).sum(0)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


def _named(spec: PermutationSpec, permutations: Permutations) -> Iterator[tuple[UnitGroup, NDArray[np.int64]]]:
    groups = {group.name: group for group in spec.groups}
    for name, permutation in permutations.items():
        if name not in groups:
            raise AnalysisError(f"permutations: there is no group {name}")
        if not np.array_equal(np.sort(permutation), np.arange(groups[name].size)):
            raise AnalysisError(f"permutations: {name} needs a permutation of {groups[name].size} units")
        yield groups[name], permutation
