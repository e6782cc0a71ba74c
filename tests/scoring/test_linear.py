"""The weighted sum beside the trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import roc_auc_score

from detector.scoring.fitted import scorer_graph
from detector.scoring.linear import Linear, fit_linear
from detector.scoring.runner import INPUT

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

FEATURES = 200


def _images(count: int, seed: int, shift: float = 0.0) -> Float32Array:
    """Every feature says a little of the shift; they differ in scale, and one never varies."""
    values = np.random.default_rng(seed).standard_normal((count, FEATURES)) + shift
    values = values * np.geomspace(0.01, 100, FEATURES) + 5
    values[:, 7] = 3
    return values.astype(np.float32)


def _fitted(shift: float = 0.15, weights: float = 1.0) -> Linear:
    benign, attacked = _images(400, 0), _images(400, 1, shift)
    labels = np.arange(800) >= 400
    return fit_linear(benign, np.concatenate([benign, attacked]), labels, np.full(800, weights))


def test_the_graph_gives_the_log_odds() -> None:
    linear, others = _fitted(), _images(50, 2)
    nodes, constants = linear.nodes(INPUT, "score")
    session = onnxruntime.InferenceSession(scorer_graph(nodes, constants, FEATURES).SerializeToString())
    (found,) = session.run(None, {INPUT: others})
    np.testing.assert_allclose(found[:, 0], linear.log_odds(others), rtol=1e-3, atol=1e-4)


def test_it_hears_what_many_features_each_say_a_little_of() -> None:
    benign, attacked = _images(300, 3), _images(300, 4, 0.15)
    linear = _fitted()
    found = linear.log_odds(np.concatenate([benign, attacked]))
    each = [roc_auc_score(np.arange(600) >= 300, np.concatenate([benign, attacked])[:, i]) for i in range(FEATURES)]
    assert roc_auc_score(np.arange(600) >= 300, found) > 0.85 > max(each)


def test_it_does_not_matter_in_what_units_a_feature_is_given() -> None:
    benign, attacked = _images(200, 0), _images(200, 1, 0.3)
    labels, counts = np.arange(400) >= 200, np.ones(400)
    features = np.concatenate([benign, attacked])
    units = np.float32(2.0) ** np.random.default_rng(5).integers(-3, 4, FEATURES).astype(np.float32)
    one, other = (
        fit_linear(benign * scale, features * scale, labels, counts) for scale in (np.ones_like(units), units)
    )
    np.testing.assert_allclose(other.log_odds(features * units), one.log_odds(features), rtol=1e-6, atol=1e-6)


def test_it_is_the_minimum_of_the_ridge_logistic_loss() -> None:
    benign, attacked = _images(60, 0), _images(40, 1, 0.3)
    features, labels = np.concatenate([benign, attacked]), np.arange(100) >= 60
    counts = np.random.default_rng(0).uniform(0.5, 2, 100)
    linear = fit_linear(benign, features, labels, counts)
    standardised = (features - linear.mean) * linear.inverse_scale
    wrong_by = 1 / (1 + np.exp(-linear.log_odds(features))) - labels
    gradient = linear.weights + 0.01 * standardised.T @ (counts * wrong_by)
    assert np.abs(gradient).max() < 2e-3 * np.abs(linear.weights).max() + 1e-4
    assert (counts * wrong_by).sum() == pytest.approx(0, abs=0.02)


def test_what_counts_for_nothing_does_not_matter() -> None:
    benign, attacked = _images(60, 0), _images(60, 1, 0.3)
    labels = np.array([False] * 60 + [True] * 60)
    alone = fit_linear(benign, np.concatenate([benign, attacked]), labels, np.ones(120))
    beside = fit_linear(
        benign,
        np.concatenate([benign, attacked, _images(60, 2, -3)]),
        np.append(labels, [True] * 60),
        np.append(np.ones(120), np.zeros(60)),
    )
    np.testing.assert_allclose(beside.weights, alone.weights, atol=1e-3)
