from __future__ import annotations

import numpy as np
import pytest

from detector.paths.samples import BarrierSample, Measure
from detector.research.connectivity.by_class import block_rows, class_rows, classes_differ
from detector.research.connectivity.statistics import View, contrasts, matched, separation, spread, summarise


def _sample(ends: np.ndarray, gaps: np.ndarray, classes: np.ndarray | None = None) -> BarrierSample:
    return BarrierSample(np.zeros(len(ends), np.int64) if classes is None else classes, ends, ends / 2, ends + gaps)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = [0, 0]
    for seed in range(60):
        found = spread(rng.exponential(1, 80), seed)
        held[0] += found.mean.low <= 1 <= found.mean.high
        held[1] += found.median.low <= np.log(2) <= found.median.high
        assert found.mean.low < found.mean.value < found.mean.high
    assert min(held) >= 50  # 57 expected; percentile intervals of a skewed mean hold a little less often


def test_the_spread_of_a_constant_is_that_constant() -> None:
    found = spread(np.full(9, 0.25), 0)
    assert (found.mean.low, found.mean.value, found.mean.high) == (0.25, 0.25, 0.25)
    assert set(found.quantiles.values()) == {0.25}


def test_a_summary_counts() -> None:
    found = summarise(_sample(np.array([0.1, 0.2, 0.6]), np.array([0, 0.004, 2])), low_loss=0.5, seed=0)
    assert (found.pairs, found.low_ends, found.flat.flagged) == (3, 2, 2)
    assert found.measures[Measure.HEIGHT].median.value == pytest.approx(0.204)
    assert found.position is None
    assert Measure.AREA not in found.measures


@pytest.mark.parametrize("seed", range(4))
def test_the_best_threshold_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, values = rng.normal(0, 1, 40).round(1), rng.normal(1, 1, 30).round(1)
    found = separation(reference, values)

    def accuracy(threshold: float) -> float:
        return ((values >= threshold).mean() + (reference < threshold).mean()) / 2

    every = np.unique(np.concatenate([reference, values]))
    assert found.balanced_accuracy == pytest.approx(max(map(accuracy, every)))
    assert accuracy(found.threshold) == pytest.approx(found.balanced_accuracy)
    allowed = [t for t in every if (reference >= t).mean() <= 0.05]
    assert found.found == pytest.approx(max(((values >= t).mean() for t in allowed), default=0))
    assert found.auroc.low < found.auroc.value < found.auroc.high


@pytest.mark.parametrize("seed", range(4))
def test_matched_groups_are_alike_and_of_one_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.exponential(1, 400), rng.exponential(3, 300)
    left, right = matched(low, high, seed)
    assert len(left) == len(right) > 100
    assert len(np.unique(left)) == len(left)
    assert np.quantile(high, 0.5) / np.quantile(low, 0.5) > 2
    for q in (0.25, 0.5, 0.75):
        assert np.quantile(high[right], q) == pytest.approx(np.quantile(low[left], q), rel=0.2)


def test_a_difference_of_ends_alone_is_gone_once_ends_are_matched() -> None:
    """Heights follow ends, and gaps are the same: only the comparison of all pairs takes one for the other."""
    rng = np.random.default_rng(0)
    sample = {c: _sample(rng.exponential(c, 600), rng.exponential(0.1, 600)) for c in (1, 4)}
    found = contrasts(sample[1], sample[4], low_loss=0.5, seed=0)
    aurocs = {view: one.measures[Measure.HEIGHT].auroc for view, one in found.items() if one is not None}
    assert aurocs[View.ALL].low > 0.7
    assert aurocs[View.MATCHED].low < 0.5 < aurocs[View.MATCHED].high
    gap = found[View.ALL]
    assert gap is not None
    assert gap.measures[Measure.GAP].auroc.value == pytest.approx(0.5, abs=0.05)


def test_a_view_with_too_few_pairs_is_none() -> None:
    high, low = _sample(np.array([5.0, 6, 7]), np.ones(3)), _sample(np.array([0.1, 0.2]), np.ones(2))
    assert contrasts(high, low, low_loss=0.5, seed=0)[View.LOW] is None


def test_classes_and_blocks_of_classes_have_rows() -> None:
    classes = np.array([0, 0, 1, 1, 30, 30])
    sample = _sample(np.full(6, 0.1), np.array([0, 1, 2, 3, 4, 5.0]), classes)
    rows = class_rows(sample, sample.take(classes == 1), [f"c{i}" for i in range(31)])
    assert [(row.name, row.reference, row.pairs, row.gap) for row in rows] == [
        ("c0", 2, 0, None),
        ("c1", 2, 2, 2.5),
        ("c30", 2, 0, None),
    ]
    blocks = block_rows(sample, sample.take(classes == 1))
    assert [(row.name, row.reference, row.pairs) for row in blocks] == [
        ("classes 0\N{EN DASH}1", 4, 2),
        ("classes 30\N{EN DASH}30, beside all", 2, 2),
    ]


def test_classes_differ_where_they_do() -> None:
    rng, classes = np.random.default_rng(0), np.arange(5).repeat(30)
    gaps = rng.exponential(1, 150)
    alike, different = (
        classes_differ(_sample(gaps, gaps, classes)),
        classes_differ(_sample(gaps, gaps + classes, classes)),
    )
    assert alike is not None
    assert different is not None
    assert different < 0.001 < alike
    assert classes_differ(_sample(gaps, gaps * 0, classes)) is None
    assert classes_differ(_sample(gaps, gaps, classes * 0)) is None
