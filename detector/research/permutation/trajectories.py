"""What the study of trajectories measured, by the epochs of permutations and of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.metrics import mean_estimate
from detector.research.permutation.hybrids import Hybrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.metrics import Estimate
    from detector.shards.stages import Arrays

NONE: Final = "none"
TOGETHER: Final = "all trained checkpoints"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What was measured.

    Args:
        what: On what, in words.
        epochs: Of the checkpoints.
        layers: Those of which hybrids are made, by their first tensor.
        arrays: As of `trajectories_job`.
    """

    what: str
    epochs: tuple[int, ...]
    layers: tuple[str, ...]
    arrays: Arrays

    @property
    def names(self) -> tuple[str, ...]:
        """Of the permutations: none, of each epoch, and of all trained checkpoints together."""
        return (NONE, *(f"epoch {epoch}" for epoch in self.epochs), TOGETHER)

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self.arrays["applied"])

    def errors(self, name: str, *, held_out: bool = False) -> NDArray[np.float64]:
        """The error barrier of a permutation at each checkpoint, mean of pairs, 0..1: (checkpoints,)."""
        return self._barriers(name, held_out=held_out)[:, 1]

    def losses(self, name: str, *, held_out: bool = False) -> NDArray[np.float64]:
        """The loss barrier likewise, nats."""
        return self._barriers(name, held_out=held_out)[:, 0]

    def _barriers(self, name: str, *, held_out: bool) -> NDArray[np.float64]:
        return self.arrays["applied"][:, self.names.index(name), :, int(held_out)].mean(0)

    def at_end(self, name: str) -> Estimate:
        """The error barrier of a permutation between the networks as they end, on training images."""
        return mean_estimate(self.arrays["applied"][:, self.names.index(name), -1, 0, 1])

    def hybrid_errors(self, early: int, kind: Hybrid) -> NDArray[np.float64]:
        """The error barrier at the end of the permutations of hybrids, mean of pairs: (layers,).

        Args:
            early: Which checkpoint lent the early layers.
            kind: Which layers those are.
        """
        return self.arrays["hybrids"][:, early, list(Hybrid).index(kind), :, 1].mean(0)

    @property
    def final(self) -> list[Estimate]:
        """The share of units that the permutation of each epoch matches as that of the end does."""
        return [mean_estimate(values) for values in self.arrays["final"].T]
