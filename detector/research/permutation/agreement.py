"""How far two permutations agree: the share of units that they match alike (Sharma et al.).

Units without any weight can be matched to anything at no loss; assignments of such units are arbitrary, and they are
not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.research.permutation.spec import identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.program import State
    from detector.research.permutation.spec import Permutations, PermutationSpec


def living(spec: PermutationSpec, state: State) -> dict[str, NDArray[np.bool_]]:
    """Which units have a weight that is not zero, in a tensor of two axes or more: bool (units,) by group.

    A bias alone does not make a unit alive: it is one more constant to whatever reads it, and pruning leaves biases.
    """
    found = {}
    for group in spec.groups:
        alive = np.zeros(group.size, np.bool_)
        for place in group.places:
            if place.tensor in spec.buffers or state[place.tensor].ndim == 1:
                continue
            alive |= place.rows(state[place.tensor]).ne(0).any(1).numpy()
        found[group.name] = alive
    return found


def agreement(
    spec: PermutationSpec, reference: State, moved: State, one: Permutations, other: Permutations
) -> float | None:
    """The share of units matched alike by two permutations of the same network to the same reference.

    Args:
        spec: Of their architecture.
        reference: The network that was aligned to.
        moved: The network that was permuted.
        one: Of its groups, all of them.
        other: The same by another way.

    Returns:
        0..1 over all groups together; a unit counts where it is alive in the reference and one of the two units that
        are matched to it is alive. None where no unit counts.
    """
    here, there = living(spec, reference), living(spec, moved)
    alike = counted = 0
    for name, mine in one.items():
        theirs = other[name]
        counts = here[name] & (there[name][mine] | there[name][theirs])
        alike += int((counts & (mine == theirs)).sum())
        counted += int(counts.sum())
    return alike / counted if counted else None


def fixed_points(spec: PermutationSpec, state: State, permutations: Permutations) -> float | None:
    """The share of a network's units that permutations of it leave where they are; 0..1, None without living units."""
    return agreement(spec, state, state, permutations, identity(spec))
