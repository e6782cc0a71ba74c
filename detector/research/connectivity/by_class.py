"""Barriers class by class: thresholds that suit one class need not suit another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import kruskal

from detector.metrics import auroc_estimate
from detector.research.connectivity.statistics import LEAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.metrics import Estimate
    from detector.paths.samples import BarrierSample

_HOLE: Final = 10
"""Classes that nobody gave statistics of, above which a block of class numbers ends."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class, or one block of classes.

    Args:
        name: Of it.
        reference: Pairs of the reference.
        pairs: Of the kind that is compared.
        reference_gap: Median gap of the reference, nats; None without a pair.
        gap: The same of the kind.
        auroc: How well the gap tells the two apart; None with fewer than `LEAST` pairs of either.
    """

    name: str
    reference: int
    pairs: int
    reference_gap: float | None
    gap: float | None
    auroc: Estimate | None


def class_rows(reference: BarrierSample, sample: BarrierSample, labels: Sequence[str]) -> tuple[ClassRow, ...]:
    """Every class that has a pair of either kind; `labels` names each class."""
    present = np.union1d(reference.classes, sample.classes)
    return tuple(
        _row(labels[label], reference.take(reference.classes == label), sample.take(sample.classes == label))
        for label in present
    )


def block_rows(reference: BarrierSample, sample: BarrierSample) -> tuple[ClassRow, ...]:
    """Every block of class numbers in the reference, beside the kind's pairs of the same block or, without any, all."""
    rows = []
    for first, last in _blocks(reference.classes):
        own = reference.take((reference.classes >= first) & (reference.classes <= last))
        theirs = sample.take((sample.classes >= first) & (sample.classes <= last))
        name = f"classes {first}\N{EN DASH}{last}"
        rows.append(_row(name, own, theirs) if len(theirs) else _row(f"{name}, beside all", own, sample))
    return tuple(rows)


def classes_differ(sample: BarrierSample) -> float | None:
    """The p-value that gaps of all classes are alike (Kruskal-Wallis); None with fewer than two classes of pairs."""
    groups = [sample.gaps[sample.classes == label] for label in np.unique(sample.classes)]
    groups = [gaps for gaps in groups if len(gaps) >= LEAST]
    if len(groups) < 2 or np.ptp(np.concatenate(groups)) == 0:  # noqa: PLR2004 - two, to differ
        return None
    return float(kruskal(*groups).pvalue)


def _row(name: str, reference: BarrierSample, sample: BarrierSample) -> ClassRow:
    enough = min(len(reference), len(sample)) >= LEAST
    return ClassRow(
        name=name,
        reference=len(reference),
        pairs=len(sample),
        reference_gap=float(np.median(reference.gaps)) if len(reference) else None,
        gap=float(np.median(sample.gaps)) if len(sample) else None,
        auroc=auroc_estimate(reference.gaps, sample.gaps) if enough else None,
    )


def _blocks(classes: NDArray[np.int64]) -> list[tuple[int, int]]:
    present = np.unique(classes)
    cuts = np.flatnonzero(np.diff(present) > _HOLE) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(present, cuts) if len(part)]
