"""Barriers of pairs of one kind, wherever they come from: measured here, or published."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.paths.curves import LossCurves

ROUNDING: Final = 1e-3
"""By how much, nats, a path may lie below its own end: published figures are rounded, and ends measured apart."""


class Measure(StrEnum):
    """What is read off a loss curve."""

    HEIGHT = "height"
    """The largest loss, ends included; the paper's barrier maximum."""
    GAP = "gap"
    """By how much it passes the larger loss of the ends."""
    AREA = "area"
    """The mean loss along the path."""


@dataclass(frozen=True, eq=False)
class BarrierSample:
    """Barriers of P pairs of one kind.

    Args:
        classes: int64 (P,), whose loss was measured.
        first: (P,), the loss at the first end, nats.
        second: (P,), at the other.
        heights: (P,), the largest loss on the path, ends included, nats.
        areas: (P,), the mean loss along it; None where it was not measured.
        positions: (P,), the alpha of the largest; None where it was not measured.

    Raises:
        AnalysisError: Not one value for each pair, a loss that is no finite number or negative, or a path that is
            nowhere as high as its end.
    """

    classes: NDArray[np.int64]
    first: NDArray[np.floating[Any]]
    second: NDArray[np.floating[Any]]
    heights: NDArray[np.floating[Any]]
    areas: NDArray[np.floating[Any]] | None = None
    positions: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        given = [self.first, self.second, self.heights, self.areas, self.positions]
        there = [values for values in given if values is not None]
        if any(values.shape != self.classes.shape for values in there):
            raise AnalysisError("barriers: one value of each for every pair is expected")
        for values in there:
            bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
            if len(bad):
                raise AnalysisError(f"barriers: pair {bad[0]} has {values[bad[0]]}, not a finite loss of at least 0")
        below = np.flatnonzero(self.heights < self.ends - ROUNDING)
        if len(below):
            raise AnalysisError(f"barriers: pair {below[0]} has a largest loss below that of its end")

    @classmethod
    def of(cls, curves: LossCurves, classes: NDArray[np.int64]) -> BarrierSample:
        """What curves show; `classes` int64 (P,), whose loss they are."""
        first, second = curves.losses[:, 0], curves.losses[:, -1]
        return cls(classes, first, second, curves.heights, curves.areas, curves.positions)

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.classes)

    @property
    def ends(self) -> NDArray[np.floating[Any]]:
        """(P,): the larger loss of the two ends, nats."""
        return np.maximum(self.first, self.second)

    @property
    def gaps(self) -> NDArray[np.floating[Any]]:
        """(P,): barrier gap, nats, >= 0."""
        return np.maximum(self.heights - self.ends, 0)

    @property
    def measures(self) -> dict[Measure, NDArray[np.floating[Any]]]:
        """All that was measured, by name, (P,) each."""
        found = {Measure.HEIGHT: self.heights, Measure.GAP: self.gaps}
        return found if self.areas is None else {**found, Measure.AREA: self.areas}

    def take(self, rows: NDArray[Any]) -> BarrierSample:
        """Some of the pairs, by an index or a mask."""
        beside = (None if values is None else values[rows] for values in (self.areas, self.positions))
        return BarrierSample(self.classes[rows], self.first[rows], self.second[rows], self.heights[rows], *beside)


def averaged(curves: LossCurves, anchors: int) -> dict[Measure, Float32Array]:
    """Measures averaged over the paths from one input to several anchors.

    Args:
        curves: Of N * anchors paths, those of one input beside each other.
        anchors: How many each input has.

    Returns:
        float32 (N,) by measure.
    """
    each = {Measure.HEIGHT: curves.heights, Measure.GAP: curves.gaps, Measure.AREA: curves.areas}
    return {measure: values.reshape(-1, anchors).mean(axis=1) for measure, values in each.items()}
