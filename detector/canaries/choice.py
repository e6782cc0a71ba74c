"""Which candidates become canaries: greedily, so that each change of the classifier moves at least one of them far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FURTHEST: Final = 6.0  # nats: a candidate that moves e^-6 of what the best one does counts as one that does not move


def most_moved(moved: NDArray[Any], count: int, *, preferred: NDArray[np.bool_], least: int) -> NDArray[np.int64]:
    """The candidates that together respond best to all changes.

    Greedy for the sum over changes of the logarithm of how far the most moved of the chosen moves (facility location:
    the greedy choice has at least 1 - 1/e of the best choice's gain; Nemhauser, Wolsey and Fisher 1978).

    Args:
        moved: float (changes, N): how far each change moves each candidate, in what rounding moves it; at least 0.
        count: How many are wanted; all where there are no more.
        preferred: bool (N,): candidates of which some have to be among them.
        least: How many, as far as there are so many.

    Returns:
        int64, in the order in which they were taken.
    """
    value = np.log(np.maximum(moved, np.finfo(np.float64).tiny))
    value = np.maximum(value - value.max(axis=1, keepdims=True), -_FURTHEST)
    best = np.full((len(value), 1), -_FURTHEST)
    chosen: list[int] = []
    while len(chosen) < min(count, moved.shape[1]):
        may = _open(chosen, count, preferred, least)
        chosen.append(int(np.argmax(np.where(may, np.maximum(value, best).sum(axis=0), -np.inf))))
        best = np.maximum(best, value[:, chosen[-1:]])
    return np.asarray(chosen, np.int64)


def farthest_apart(
    answers: NDArray[np.float64], count: int, *, preferred: NDArray[np.bool_], least: int
) -> NDArray[np.int64]:
    """Candidates whose answers are far from each other (Gonzalez 1985): for a classifier that can't be taken apart.

    Args:
        answers: float64 (N, classes), centred logits.
        count: How many are wanted; all where there are no more.
        preferred: bool (N,): candidates of which some have to be among them.
        least: How many, as far as there are so many.

    Returns:
        int64, in the order in which they were taken: first the one whose logits are largest.
    """
    apart = np.linalg.norm(answers, axis=1)
    chosen: list[int] = []
    while len(chosen) < min(count, len(answers)):
        may = _open(chosen, count, preferred, least)
        chosen.append(int(np.argmax(np.where(may, apart, -np.inf))))
        from_last = np.linalg.norm(answers - answers[chosen[-1]], axis=1)
        apart = np.minimum(apart, from_last) if len(chosen) > 1 else from_last
    return np.asarray(chosen, np.int64)


def _open(chosen: list[int], count: int, preferred: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Which may be taken next, bool (N,): only preferred ones where all that are left to take have to be such."""
    due = min(least, int(preferred.sum())) - int(preferred[chosen].sum())
    left = np.ones(len(preferred), bool)
    left[chosen] = False
    return left & preferred if due >= count - len(chosen) else left
