"""Aligning two networks through a third: what strong linear connectivity asks for (Sharma et al.).

Networks that are each aligned to one reference need no word on each other. Whether they are connected then says more
than whether some permutation, chosen for just the two, connects them.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from detector.research.permutation.spec import composed, inverse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.research.permutation.spec import Permutations


def through_reference(moved: Permutations, target: Permutations) -> dict[str, NDArray[np.int64]]:
    """The permutations of one network that take it to another by way of a reference.

    Args:
        moved: Of the network that is moved, to the reference; they name every group.
        target: Of the network it is moved to, to the same reference.

    Returns:
        The first, and the second undone: the barrier of the target to the moved network is then that of the two as
        they are aligned to the reference.
    """
    return composed(moved, inverse(target))


def around(steps: Sequence[Permutations]) -> dict[str, NDArray[np.int64]]:
    """What does the work of several alignments, one after the other: A to C, C to B and B to A, say, lead back to A.

    Args:
        steps: At least one; each names every group, and is of the network where the one before it ends.
    """
    return reduce(composed, steps[1:], dict(steps[0]))
