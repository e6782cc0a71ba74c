from __future__ import annotations

import numpy as np
import pytest

from detector.metrics import auroc, mean_estimate, realised_rate, realised_share


def _mann_whitney(benign: np.ndarray, adversarial: np.ndarray) -> float:
    """Every pair, one by one."""
    won = sum(float(a > b) + 0.5 * float(a == b) for a in adversarial for b in benign)
    return won / (len(benign) * len(adversarial))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [0, 1, 5])
def test_auroc_counts_pairs_and_ties_half(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    benign = np.round(rng.normal(0, 1, rng.integers(1, 60)), decimals).astype(np.float32)
    adversarial = np.round(rng.normal(0.7, 1, rng.integers(1, 60)), decimals).astype(np.float32)
    assert auroc(benign, adversarial) == pytest.approx(_mann_whitney(benign, adversarial), abs=1e-12)


@pytest.mark.parametrize(
    ("benign", "adversarial", "area"),
    [([1, 2], [3, 4], 1.0), ([3, 4], [1, 2], 0.0), ([1, 1], [1], 0.5), ([1, 3], [2], 0.5), ([1, 2, 3, 4], [3], 0.625)],
)
def test_auroc_is_known(benign: list[float], adversarial: list[float], area: float) -> None:
    assert auroc(np.array(benign, np.float32), np.array(adversarial, np.float32)) == area


@pytest.mark.parametrize(
    ("flagged", "total", "low", "high"),
    [
        (0, 10, 0.0, 1 - 0.025**0.1),  # the closed form where nothing is flagged
        (10, 10, 0.025**0.1, 1.0),
        (0, 1, 0.0, 0.975),
        (5, 100, 0.016432, 0.112835),  # Clopper and Pearson's interval in any table
        (10, 1000, 0.004805, 0.018314),
    ],
)
def test_the_interval_of_a_rate_is_known(flagged: int, total: int, low: float, high: float) -> None:
    found = realised_rate(flagged, total)
    assert found.rate == flagged / total
    assert found.low == pytest.approx(low, abs=2e-6)
    assert found.high == pytest.approx(high, abs=2e-6)


def test_a_target_holds_within_the_interval() -> None:
    found = realised_rate(5, 100)
    assert found.holds(0.05)
    assert found.holds(0.02)
    assert not found.holds(0.01)
    assert not found.holds(0.12)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    flagged = np.random.default_rng(0).binomial(200, 0.05, size=2000)
    intervals = {n: realised_rate(int(n), 200) for n in set(flagged.tolist())}
    assert np.mean([intervals[n].holds(0.05) for n in flagged.tolist()]) >= 0.95


def test_a_mean_has_students_interval() -> None:
    found = mean_estimate(np.array([1.0, 2.0, 3.0, 6.0]))
    half = 3.182446 * 2.160247 / 2  # t of 3 degrees of freedom, the deviation, the root of n
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), rel=1e-6)


def test_equal_numbers_have_no_interval_and_nan_stays() -> None:
    found = mean_estimate(np.array([2.0, 2.0]))
    assert (found.value, found.low, found.high) == (2, 2, 2)
    assert np.isnan(mean_estimate(np.array([1.0, np.nan])).high)


@pytest.mark.parametrize(("flags", "low", "high"), [([0, 0, 0], 0, 1 - 0.025 ** (1 / 3)), ([1], 0.025, 1)])
def test_a_counted_rate_has_the_exact_binomial_interval(flags: list[int], low: float, high: float) -> None:
    found = realised_share(np.array(flags, bool))
    assert (found.flagged, found.total) == (sum(flags), len(flags))
    assert (found.low, found.high) == pytest.approx((low, high))
