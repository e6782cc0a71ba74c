"""The statistics of barriers: how large they are, and how well they tell one kind of pair from another.

One code path for what is measured here and for what was published. Intervals are 95 %: of means and medians by the
bootstrap's percentiles, of AUROCs DeLong's, of shares Clopper-Pearson's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import roc_curve

from detector.metrics import Estimate, auroc_estimate, realised_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from detector.metrics import RealisedRate
    from detector.paths.samples import BarrierSample, Measure

FLAT: Final = 0.005
"""A gap below it, nats, is no barrier (the authors' bound)."""
FALSE_POSITIVES: Final = 0.05
"""Of the reference's pairs, at which the share of others that are found is given."""
QUANTILES: Final = (0.05, 0.1, 0.25, 0.75, 0.9, 0.95)
LEAST: Final = 2
"""Pairs without which nothing is said of a kind."""
_RESAMPLES = 1000
_MOST_DRAWN = 4_000_000  # numbers at once, of all resamples
_BINS = 20  # of the larger end-point loss, each with as many pairs of the two kinds together


class View(StrEnum):
    """Which pairs of two kinds are compared: differences of end-point losses must not pass for barriers."""

    ALL = "all pairs"
    LOW = "both ends of low loss"
    MATCHED = "ends matched"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where the values of one measure lie, nats (or shares of the path).

    Args:
        mean: With its interval.
        median: With its interval.
        quantiles: By their probability, as in ``q05``.
    """

    mean: Estimate
    median: Estimate
    quantiles: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Barriers of one kind of pair.

    Args:
        pairs: How many.
        low_ends: How many of them have both ends of low loss.
        ends: The larger loss of the two ends.
        measures: Each measure.
        position: Where on the path it is highest; None where that was not measured.
        flat: How many have a gap below `FLAT`.
    """

    pairs: int
    low_ends: int
    ends: Spread
    measures: Mapping[Measure, Spread]
    position: Spread | None
    flat: RealisedRate


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How well one measure tells a kind of pair from the reference; larger speaks for the kind.

    Args:
        auroc: With its interval.
        balanced_accuracy: Of the best threshold, 0..1.
        threshold: That one, nats: as large or larger is the kind.
        found: Share of the kind at `FALSE_POSITIVES`, 0..1.
    """

    auroc: Estimate
    balanced_accuracy: float
    threshold: float
    found: float


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One kind of pair beside the reference.

    Args:
        reference: Pairs of the reference.
        pairs: Of the kind.
        reference_ends: Median of the larger end-point loss, nats.
        ends: The same of the kind.
        measures: How well each measure tells them apart.
    """

    reference: int
    pairs: int
    reference_ends: float
    ends: float
    measures: Mapping[Measure, Separation]


def summarise(sample: BarrierSample, *, low_loss: float, seed: int) -> Summary:
    """Describe at least `LEAST` pairs of one kind.

    Args:
        sample: Of which.
        low_loss: Both ends below it, nats, are of low loss.
        seed: Of the bootstrap.
    """
    return Summary(
        pairs=len(sample),
        low_ends=int((sample.ends < low_loss).sum()),
        ends=spread(sample.ends, seed),
        measures={measure: spread(values, seed) for measure, values in sample.measures.items()},
        position=None if sample.positions is None else spread(sample.positions, seed),
        flat=realised_rate(int((sample.gaps < FLAT).sum()), len(sample)),
    )


def spread(values: NDArray[Any], seed: int) -> Spread:
    """Where at least `LEAST` values lie."""
    return Spread(
        mean=_interval(values, np.mean, seed),
        median=_interval(values, np.median, seed),
        quantiles={f"q{100 * q:02.0f}": float(np.quantile(values, q)) for q in QUANTILES},
    )


def separation(reference: NDArray[Any], values: NDArray[Any]) -> Separation:
    """How well values tell a kind from the reference, at least `LEAST` of each."""
    truth = np.arange(len(reference) + len(values)) >= len(reference)
    wrong, right, thresholds = roc_curve(truth, np.concatenate([reference, values]), drop_intermediate=False)
    # Among equally good thresholds the middle one; the first stands for "none of them" and is infinite.
    accuracies = (right + 1 - wrong)[1:] / 2
    best = np.flatnonzero(accuracies == accuracies.max())
    return Separation(
        auroc=auroc_estimate(reference, values),
        balanced_accuracy=float(accuracies.max()),
        threshold=float(thresholds[1:][best[len(best) // 2]]),
        found=float(right[wrong <= FALSE_POSITIVES].max()),
    )


def contrasts(
    reference: BarrierSample, sample: BarrierSample, *, low_loss: float, seed: int
) -> dict[View, Contrast | None]:
    """Compare a kind with the reference, as it is and with end-point losses set aside.

    Args:
        reference: Such as pairs of two real images of one class.
        sample: The kind.
        low_loss: For `View.LOW`.
        seed: Of the matching.

    Returns:
        Each view; None where fewer than `LEAST` pairs of one of them are left.
    """
    rows = matched(reference.ends, sample.ends, seed)
    views = {
        View.ALL: (reference, sample),
        View.LOW: (reference.take(reference.ends < low_loss), sample.take(sample.ends < low_loss)),
        View.MATCHED: (reference.take(rows[0]), sample.take(rows[1])),
    }
    return {view: _contrast(*both) for view, both in views.items()}


def matched(reference: NDArray[Any], values: NDArray[Any], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two groups whose values are alike: as many of both in every bin, drawn at random.

    Args:
        reference: (N,).
        values: (M,).
        seed: Of the draw.

    Returns:
        Rows of each, int64, equally many; `_BINS` bins hold equally many of both together.
    """
    both = np.concatenate([reference, values])
    edges = np.quantile(both, np.linspace(0, 1, _BINS + 1)[1:-1]) if len(both) else np.empty(0)
    rng = np.random.default_rng(seed)
    kept: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    bins = np.searchsorted(edges, reference, "right"), np.searchsorted(edges, values, "right")
    for number in range(_BINS):
        members = [rng.permutation(np.flatnonzero(each == number)) for each in bins]
        fewest = min(map(len, members))
        kept.append((members[0][:fewest], members[1][:fewest]))
    left, right = (np.sort(np.concatenate(rows)) for rows in zip(*kept, strict=True))
    return left, right


def _contrast(reference: BarrierSample, sample: BarrierSample) -> Contrast | None:
    if min(len(reference), len(sample)) < LEAST:
        return None
    own, theirs = reference.measures, sample.measures
    return Contrast(
        reference=len(reference),
        pairs=len(sample),
        reference_ends=float(np.median(reference.ends)),
        ends=float(np.median(sample.ends)),
        measures={measure: separation(own[measure], theirs[measure]) for measure in own if measure in theirs},
    )


def _interval(values: NDArray[Any], statistic: Callable[..., Any], seed: int) -> Estimate:
    value = float(statistic(values))
    if np.ptp(values) == 0:  # resampling says nothing of it, and warns
        return Estimate(value, value, value)
    found = bootstrap(
        (values.astype(np.float64),),
        statistic,
        n_resamples=_RESAMPLES,
        batch=max(1, _MOST_DRAWN // len(values)),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))
