"""What the study of width measured, at each width with its interval over triples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import mean_estimate
from detector.research.permutation.width_job import Comparison

if TYPE_CHECKING:
    from detector.metrics import Estimate
    from detector.shards.stages import Arrays


@dataclass(frozen=True, eq=False)
class Widths:
    """What was measured.

    Args:
        what: On what, in words.
        widths: Of the networks.
        triples: At each.
        arrays: As of `triples_job`, a first axis of widths before each.
    """

    what: str
    widths: tuple[int, ...]
    triples: int
    arrays: Arrays

    def of(self, name: str, *index: int) -> list[Estimate]:
        """The mean over triples at each width, with its interval.

        Args:
            name: Of the array.
            index: Behind the axis of triples.
        """
        return [mean_estimate(values[(slice(None), *index)]) for values in self.arrays[name]]

    def worst(self, *, error: bool = True, held_out: bool = False) -> list[Estimate]:
        """The largest barrier of mixtures of three, each with one permutation: those drawn, and the line of A and B."""
        place = int(held_out), int(error)
        line = self.arrays["barriers"][:, :, list(Comparison).index(Comparison.REFERENCE), *place]
        return [mean_estimate(values) for values in np.maximum(self.arrays["simplex"][:, :, *place], line)]

    def barrier(self, which: Comparison, *, error: bool = True, held_out: bool = False) -> list[Estimate]:
        """Of one comparison, at each width: error (0..1) or loss (nats), on training or on held-out images."""
        return self.of("barriers", list(Comparison).index(which), int(held_out), int(error))
