"""What the study of pruning measured, level by level, with its interval over pairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.metrics import mean_estimate
from detector.research.permutation.pruning_jobs import Alignment, Masking
from detector.research.permutation.width_job import SETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.metrics import Estimate
    from detector.shards.stages import Arrays

LOSS, ERROR = range(2)
KINDS = ("loss", "error")


@dataclass(frozen=True, eq=False)
class PrunedPairs:
    """What was measured.

    Args:
        what: On what, in words.
        densities: float64 (levels + 1,): the share of weights that is left, falling from 1.
        arrays: As of `barriers_job` and, where masks were carried over, `transport_job`, with axes of pairs and levels
            in the place of their rows.
    """

    what: str
    densities: NDArray[np.float64]
    arrays: Arrays

    @property
    def pairs(self) -> int:
        """How many."""
        return len(self.arrays["barriers"])

    def barriers(self, alignment: Alignment, *, kind: int = ERROR, held_out: bool = False) -> NDArray[np.float64]:
        """Of loss (nats) or error (0..1): (pairs, levels + 1)."""
        return self.arrays["barriers"][:, :, list(Alignment).index(alignment), int(held_out), kind]

    def singles(self, *, kind: int = ERROR, held_out: bool = False) -> NDArray[np.float64]:
        """Of a network by itself, the mean of a pair's two: (pairs, levels + 1)."""
        return self.arrays["curves"][:, :, 0, int(held_out), kind][..., [0, -1]].mean(-1)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """The share of units that a level's own permutation matches as level 0's does: (pairs, levels), from 1 on."""
        return self.arrays["agreement"][:, 1:]

    @property
    def has_transport(self) -> bool:
        """Whether networks were trained under the masks of others."""
        return "transported" in self.arrays

    def transported(self, masking: Masking, *, kind: int = ERROR, held_out: bool = True) -> NDArray[np.float64]:
        """Of the second network of each pair, trained under a mask: (pairs, levels), from level 1."""
        return self.arrays["transported"][:, :, list(Masking).index(masking), int(held_out), kind]

    def figures(self) -> dict[str, Any]:
        """All means with their intervals, JSON values."""
        sets = [(name, kind, bool(place), axis) for place, name in enumerate(SETS) for axis, kind in enumerate(KINDS)]
        figures = {
            "what": self.what,
            "pairs": self.pairs,
            "densities": self.densities.tolist(),
            "barriers": {
                alignment.value: {
                    f"{kind}, {name}": _plain(self.barriers(alignment, kind=axis, held_out=held_out))
                    for name, kind, held_out, axis in sets
                }
                for alignment in Alignment
            },
            "single": {
                f"{kind}, {name}": _plain(self.singles(kind=axis, held_out=held_out))
                for name, kind, held_out, axis in sets
            },
            "matched alike": _plain(self.agreement),
        }
        if self.has_transport:
            figures["under masks"] = {
                masking.value: {
                    f"{kind}, {name}": _plain(self.transported(masking, kind=axis, held_out=held_out))
                    for name, kind, held_out, axis in sets
                }
                for masking in Masking
            }
        return figures


def by_level(values: NDArray[np.float64]) -> list[Estimate]:
    """The mean over pairs at each level, of (pairs, levels)."""
    return [mean_estimate(column) for column in values.T]


def _plain(values: NDArray[np.float64]) -> list[dict[str, float] | None]:
    return [asdict(one) if np.isfinite(one.value) else None for one in by_level(values)]
