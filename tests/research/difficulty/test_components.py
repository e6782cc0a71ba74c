"""Components of scores that share one factor are those of their correlation matrix."""

from __future__ import annotations

import numpy as np
import pytest

from detector.research.difficulty.components import components
from detector.research.difficulty.scaling import Scale, standardised
from tests.support.difficulty import CNN, table

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("correlation", [0.2, 0.8])
def test_one_factor_has_the_first_component_that_is_computed(correlation: float) -> None:
    # Scores sqrt(r) f + sqrt(1 - r) e_s correlate by r; of S of them the first eigenvalue is 1 + (S - 1) r.
    scores, runs = 5, 3
    factor = RNG.normal(size=(1, 1, 40_000))
    own = RNG.normal(size=(1, scores, 40_000))
    values = np.repeat(np.sqrt(correlation) * factor + np.sqrt(1 - correlation) * own, runs, axis=0)
    found = components(values, Scale.VALUES)
    first = (1 + (scores - 1) * correlation) / scores
    np.testing.assert_allclose(found.shares, [first, *[(1 - correlation) / scores] * 4], atol=0.01)
    np.testing.assert_allclose(found.loadings[:, 0], np.sqrt(first), atol=0.02)
    assert found.mean_correlation == pytest.approx(correlation, abs=0.01)
    assert (found.single.value, found.single.low, found.single.high) == pytest.approx((found.shares[0],) * 3)


def test_they_are_the_eigenvectors_of_the_correlations_of_means() -> None:
    values = table().of(CNN)
    found = components(values)
    rows = standardised(values.mean(0))
    correlations = rows @ rows.T
    np.testing.assert_allclose(found.shares, np.linalg.eigvalsh(correlations)[::-1] / len(rows))
    np.testing.assert_allclose(found.loadings @ found.loadings.T, correlations, atol=1e-12)
    assert found.single.value < found.shares[0]  # noise of single runs has directions of its own


def test_components_are_kept_to_99_per_cent() -> None:
    values = np.repeat(RNG.normal(size=(1, 2, 50)), 2, axis=0)
    both = np.concatenate([values, values[:, :1] + 1e-6 * RNG.normal(size=(2, 1, 50))], axis=1)
    assert components(both, Scale.VALUES).kept == 2
    assert components(values, Scale.VALUES).kept == 2
    assert components(np.concatenate([values[:, :1]] * 3, axis=1)).kept == 1


def test_harder_stays_higher() -> None:
    values = table().of(CNN)
    assert (components(values).loadings[:, 0] > 0).all()
    turned = values.copy()
    turned[:, 0] *= -1
    assert components(turned).loadings[0, 0] < 0 < components(turned).loadings[1, 0]
