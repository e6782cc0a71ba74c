"""Pairs of inputs that a path joins, and which inputs make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of inputs to be joined.

    Args:
        starts: float32 (P, C, H, W), canonical.
        ends: float32 (P, C, H, W), canonical.
        classes: int64 (P,), whose loss is to be small on the way.
    """

    starts: Float32Array
    ends: Float32Array
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Pairs:
        """Some of them."""
        return Pairs(self.starts[rows], self.ends[rows], self.classes[rows])


def class_pairs(labels: NDArray[np.int64], seed: int, *, same: bool) -> NDArray[np.int64]:
    """Pair images at random, none of them twice, so that pairs are independent.

    Args:
        labels: int64 (N,).
        seed: Of the pairing.
        same: Whether a pair shares its class, or has two. Of one class, all images are paired but an odd one per
            class; of two, all are paired at random and pairs of one class left out.

    Returns:
        int64 (P, 2), rows of `labels`.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    if same:
        members = [order[labels[order] == label] for label in np.unique(labels)]
        order = np.concatenate([rows[: len(rows) // 2 * 2] for rows in members]) if members else order
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    return pairs[(labels[pairs[:, 0]] == labels[pairs[:, 1]]) == same]


def evenly(pairs: NDArray[np.int64], labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Some of the pairs, as many of each class as there can be.

    Args:
        pairs: int64 (P, 2), rows of `labels`; the class of the first counts.
        labels: int64 (N,).
        count: How many, at most.

    Returns:
        int64 (min(P, count), 2): pairs of all classes in turn, then of those that have more.
    """
    classes = labels[pairs[:, 0]]
    turn = np.empty(len(pairs), np.int64)
    for label in np.unique(classes):
        of_class = classes == label
        turn[of_class] = np.arange(of_class.sum())
    return pairs[np.lexsort((classes, turn))[:count]]


def of_class(wanted: NDArray[np.int64], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """int64 (M,): for each class wanted, a random row of `labels` that has it, or -1."""
    rng = np.random.default_rng(seed)
    rows = {label: np.flatnonzero(labels == label) for label in np.unique(wanted)}
    return np.array([rng.choice(rows[label]) if len(rows[label]) else -1 for label in wanted], np.int64)


def of_another_class(classes: NDArray[np.int64], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Random rows of other classes; none twice for the same class, as long as there are enough.

    Args:
        classes: int64 (M,), classes to avoid.
        labels: int64 (N,).
        seed: Of the choice.

    Returns:
        int64 (M,), rows of `labels`, or -1 where all are of that class.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    found = np.full(len(classes), -1, np.int64)
    for label in np.unique(classes):
        places, others = np.flatnonzero(classes == label), order[labels[order] != label]
        if len(others):
            found[places] = np.resize(others, len(places))
    return found
