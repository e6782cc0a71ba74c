"""Whether networks may be merged: barriers between them as they are, aligned in pairs, and aligned to a reference."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.research.permutation.agreement import agreement
from detector.research.permutation.barriers import barrier, line, loss_and_error
from detector.research.permutation.references import through_reference
from detector.research.permutation.spec import permuted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.program import State
    from detector.research.permutation.classifiers import Networks
    from detector.research.permutation.merging import Alignments, Merged, MergingOptions
    from detector.training.data import LabelledImages

BAR: Final = 0.02
"""Below this error barrier between aligned networks merging is advised: the line of Sharma et al. for 'connected'."""
KINDS: Final = 3


@dataclass(frozen=True, eq=False)
class MergingBarriers:
    """What lies between networks that are to be merged.

    Args:
        images: How many they were measured on.
        corners: float64 (networks, 2), loss (nats) and error (0..1) of each.
        naive: float64 (networks, networks, 2), loss and error barrier on the line between each two as they are; zero on
            the diagonal.
        direct: The same with one aligned to the other.
        via: The same with both as they are merged: aligned to the reference.
        agreement: float64 (networks, networks), share of units that the alignment of two to each other and that through
            the reference put in the same place; NaN where the two are one by definition. Dead units don't count.
        merged: Loss and error of the merged network.
        middle: By how much these pass the networks' own, in their shares: the barrier of the merged network.
    """

    images: int
    corners: NDArray[np.float64]
    naive: NDArray[np.float64]
    direct: NDArray[np.float64]
    via: NDArray[np.float64]
    agreement: NDArray[np.float64]
    merged: tuple[float, float]
    middle: tuple[float, float]

    @property
    def worst(self) -> float:
        """The largest error barrier between two networks as they are merged, 0..1."""
        return float(self.via[..., 1].max())

    @property
    def advised(self) -> bool:
        """Whether merging is advised: no barrier reaches `BAR`. Otherwise average logits."""
        return self.worst < BAR

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record; None where there is no agreement to speak of."""

        def pairs(values: NDArray[np.float64]) -> dict[str, list[list[float]]]:
            return {"loss": values[..., 0].tolist(), "error": values[..., 1].tolist()}

        return {
            "images": self.images,
            "loss": self.corners[:, 0].tolist(),
            "error": self.corners[:, 1].tolist(),
            "naive": pairs(self.naive),
            "direct": pairs(self.direct),
            "via_reference": pairs(self.via),
            "agreement": [[None if np.isnan(value) else float(value) for value in row] for row in self.agreement],
            "merged": dict(zip(("loss", "error"), self.merged, strict=True)),
            "merged_barrier": dict(zip(("loss", "error"), self.middle, strict=True)),
            "worst_error_barrier": self.worst,
            "bar": BAR,
            "advice": "merge" if self.advised else "ensemble",
        }


def merging_barriers(
    networks: Networks,
    merged: Merged,
    options: MergingOptions,
    data: LabelledImages,
    *,
    alignments: Alignments,
    statistics: LabelledImages,
    points: int,
    advance: Callable[[int], None] | None = None,
) -> MergingBarriers:
    """Measure what lies between networks that are to be merged.

    Args:
        networks: Which.
        merged: What became of them.
        options: How they were merged.
        data: What they are measured on.
        alignments: By the same options.
        statistics: What batch norms of mixtures are measured anew on, where the merged network's were; none of `data`.
            So few images would spoil those of networks that are nearly one.
        points: Of the line between two, both ends included.
        advance: Told of steps, `barrier_steps` in all.

    Raises:
        AnalysisError: Fewer points than 2.
    """
    count, program = len(networks.states), networks.program
    shares = line(points)
    anew = statistics if merged.measured else None
    naive, direct, via = (np.zeros((count, count, 2)) for _ in range(KINDS))
    alike = np.full((count, count), np.nan)

    def measure(table: NDArray[np.float64], one: int, other: int, ends: tuple[State, State]) -> None:
        found = barrier(program, ends, shares, data, statistics=anew, on_progress=advance)
        table[one, other] = table[other, one] = found.loss, found.error

    for one, other in combinations(range(count), 2):
        found = alignments.of(other, to=one)
        measure(naive, one, other, (networks.states[one], networks.states[other]))
        measure(direct, one, other, (networks.states[one], permuted(networks.spec, networks.states[other], found)))
        measure(via, one, other, (merged.aligned[one], merged.aligned[other]))
        if options.repeated or options.reference not in {one, other}:
            through = through_reference(merged.permutations[other], merged.permutations[one])
            same = agreement(networks.spec, networks.states[one], networks.states[other], found, through)
            alike[one, other] = alike[other, one] = np.nan if same is None else same
    corners = np.array([loss_and_error(program, state, data) for state in networks.states])
    reached = np.array(loss_and_error(program, merged.state, data))
    middle = reached - np.array(options.parts(count)) @ corners
    return MergingBarriers(
        images=len(data),
        corners=corners,
        naive=naive,
        direct=direct,
        via=via,
        agreement=alike,
        merged=(float(reached[0]), float(reached[1])),
        middle=(float(middle[0]), float(middle[1])),
    )


def barrier_steps(networks: int, points: int) -> int:
    """How many steps of progress `merging_barriers` is worth."""
    return KINDS * points * networks * (networks - 1) // 2
