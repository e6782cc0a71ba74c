"""Pairs that were joined by paths of low loss, and what that took."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import realised_rate
from detector.research.connectivity.displacement import class_maps, displacements

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.metrics import RealisedRate
    from detector.paths.chains import Chains
    from detector.research.connectivity.displacement import Displacements


@dataclass(frozen=True, eq=False)
class Joined:
    """Pairs of one kind, joined.

    Args:
        chains: Their paths.
        classes: int64 (P,), whose loss is small on them.
        epsilon: What it is to stay below, nats.
    """

    chains: Chains
    classes: NDArray[np.int64]
    epsilon: float

    @property
    def connectable(self) -> NDArray[np.bool_]:
        """Bool (P,): whether both ends are below epsilon; no path connects others."""
        return self.chains.straight.ends < self.epsilon

    def connected(self, *, connectable: bool) -> list[RealisedRate]:
        """How many pairs are connected after each round, of all or of those that can be."""
        reached = self.chains.connected(self.epsilon)
        rows = reached[self.connectable] if connectable else reached
        return [realised_rate(int(each.sum()), len(rows)) for each in rows.T] if len(rows) else []

    @property
    def rounds_needed(self) -> NDArray[np.int64]:
        """int64 (P,): the first round after which it connects; one more than there were where it never does."""
        reached = self.chains.connected(self.epsilon)
        return np.where(reached.any(axis=1), reached.argmax(axis=1), reached.shape[1])

    @property
    def segments_needed(self) -> NDArray[np.int64]:
        """int64 (P,): how many segments the path has then; 0 where it never connects."""
        rounds, segments = self.rounds_needed, self.chains.segments
        found = segments[np.arange(len(segments)), np.minimum(rounds, segments.shape[1] - 1)]
        return np.where(rounds < segments.shape[1], found, 0)

    @cached_property
    def displaced(self) -> Displacements:
        """What the first bypasses changed."""
        return displacements(self.chains)

    @cached_property
    def maps(self) -> Float32Array:
        """float32 (classes, H, W): see `class_maps`; for the classes up to the largest there is."""
        return class_maps(self.displaced.changes, self.classes[self.displaced.rows], int(self.classes.max()) + 1)
