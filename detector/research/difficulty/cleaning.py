"""Which images of a set to look at: the hardest, those with a label that is likely wrong, and those nobody learns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata

from detector.research.difficulty.ensemble import agreement, consistency_and_memorisation
from detector.research.difficulty.suspects import suspects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.research.difficulty.ensemble import Agreement
    from detector.research.difficulty.parts_job import PartRuns
    from detector.research.difficulty.suspects import Suspects

HARDEST: Final = 0.1
"""The share of images that are called the hardest."""


class Flag(StrEnum):
    """Why an image is listed.

    MISLABELLED: see `Suspects.mislabelled`. UNLEARNABLE: no run was ever right about it, not even those that trained on
    it. HARDEST: it is among the tenth with the highest mean rank by EL2N, averaged over training.
    """

    MISLABELLED = "mislabelled"
    UNLEARNABLE = "unlearnable"
    HARDEST = "hardest"


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What is to be looked at.

    Args:
        labels: int64 (N,).
        suspects: What runs that did not train on them say.
        difficulty: float64 (N,), 0 (easiest) to 1: the mean over runs of an image's rank.
        unlearnable: bool (N,).
        consistency: float64 (N,), 0..1, the share of runs that did not train on the image and are right.
        memorisation: float64 (N,), -1..1, how many more of those that did are.
        together: What all runs say, those that trained on an image too.
    """

    labels: NDArray[np.int64]
    suspects: Suspects
    difficulty: NDArray[np.float64]
    unlearnable: NDArray[np.bool_]
    consistency: NDArray[np.float64]
    memorisation: NDArray[np.float64]
    together: Agreement

    @classmethod
    def of(cls, runs: PartRuns, labels: NDArray[np.int64]) -> Cleaning:
        """What runs on parts of images say.

        Args:
            runs: Of all images.
            labels: int64 (N,).

        Raises:
            AnalysisError: Some image was trained on by all runs, or by none.
        """
        right = runs.predicted == labels
        consistency, memorisation = consistency_and_memorisation(right, runs.trained_on)
        ranks = (rankdata(runs.ranked, axis=1) - 1) / max(1, len(labels) - 1)
        return cls(
            labels=labels,
            suspects=suspects(runs.shares, labels, runs.predicted, runs.trained_on),
            difficulty=ranks.mean(0),
            unlearnable=runs.learnt.sum(axis=0) == 0,
            consistency=consistency,
            memorisation=memorisation,
            together=agreement(runs.predicted, labels, runs.shares.shape[1]),
        )

    @cached_property
    def listed(self) -> dict[Flag, NDArray[np.int64]]:
        """Which images are listed for what, the worst first."""
        wrong, lost = np.flatnonzero(self.suspects.mislabelled), np.flatnonzero(self.unlearnable)
        hardest = np.argsort(-self.difficulty, kind="stable")[: round(HARDEST * len(self.labels))]
        return {
            Flag.MISLABELLED: wrong[np.argsort(self.suspects.quality[wrong], kind="stable")],
            Flag.UNLEARNABLE: lost[np.argsort(-self.difficulty[lost], kind="stable")],
            Flag.HARDEST: hardest,
        }

    def flags(self) -> dict[int, tuple[Flag, ...]]:
        """Of every image that is listed for anything, by its row: the likely mislabelled first."""
        found: dict[int, tuple[Flag, ...]] = {}
        for flag, rows in self.listed.items():
            for row in rows.tolist():
                found[row] = (*found.get(row, ()), flag)
        return found
