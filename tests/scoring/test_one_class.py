from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from detector.errors import CalibrationError
from detector.scoring.gaussian import MIN_IMAGES
from detector.scoring.one_class import fit_one_class

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

FEATURES = 12
MIXING = np.random.default_rng(5).standard_normal((FEATURES, FEATURES))


def _benign(count: int, seed: int) -> Float32Array:
    """Correlated features of unequal scales and means."""
    values = np.random.default_rng(seed).standard_normal((count, FEATURES)) @ MIXING
    return (values * np.logspace(-1, 2, FEATURES) + np.arange(FEATURES)).astype(np.float32)


@pytest.mark.parametrize("count", [MIN_IMAGES, 60, 2000])
def test_the_graph_is_half_the_squared_mahalanobis_distance(count: int) -> None:
    benign, others = _benign(count, 0), _benign(200, 1)
    scores = fit_one_class(benign).score(others)
    mean, scale = benign.mean(0, dtype=np.float64), benign.std(0, dtype=np.float64)
    covariance = LedoitWolf(assume_centered=True).fit((benign - mean) / scale)
    np.testing.assert_allclose(scores, covariance.mahalanobis((others - mean) / scale) / 2, rtol=1e-3)
    assert scores.dtype == np.float32
    assert scores.min() >= 0


@pytest.mark.parametrize("feature", range(FEATURES))
@pytest.mark.parametrize("direction", [-1, 1])
def test_both_tails_of_every_feature_are_flagged(feature: int, direction: int) -> None:
    benign = _benign(2000, 0)
    scorer = fit_one_class(benign)
    odd = _benign(200, 1)
    odd[:, feature] += direction * 8 * benign[:, feature].std()
    assert scorer.score(odd).min() > np.quantile(scorer.score(_benign(500, 2)), 0.99)


def test_a_broken_correlation_is_flagged_where_no_feature_is_odd_by_itself() -> None:
    rng = np.random.default_rng(0)
    cause = rng.standard_normal((1000, 1))
    benign = np.hstack([cause, cause + 0.05 * rng.standard_normal((1000, 1))]).astype(np.float32)
    odd = rng.permuted(benign, axis=0)
    scorer = fit_one_class(benign[:500])
    scores = np.concatenate([scorer.score(benign[500:]), scorer.score(odd)])
    assert roc_auc_score(np.arange(1500) >= 500, scores) > 0.9


def test_a_constant_feature_does_no_harm() -> None:
    benign = _benign(100, 0)
    benign[:, 3] = 7
    assert np.isfinite(fit_one_class(benign).score(_benign(50, 1))).all()


def test_the_same_features_give_the_same_graph() -> None:
    assert fit_one_class(_benign(100, 0)).model == fit_one_class(_benign(100, 0)).model
    assert fit_one_class(_benign(100, 0)).model != fit_one_class(_benign(100, 1)).model


def test_too_few_images_are_refused() -> None:
    with pytest.raises(CalibrationError, match=f"at least {MIN_IMAGES} images to fit, not {MIN_IMAGES - 1}"):
        fit_one_class(_benign(MIN_IMAGES - 1, 0))
