"""The supervised scorer: boosted trees that tell benign profiles from attacked ones.

The score is ``-log P(benign)`` in nats, from the trees' raw log-odds, so that it neither saturates nor goes below zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier

from detector.errors import CalibrationError
from detector.scoring.fitted import OPSETS, FittedScorer, scorer_graph
from detector.scoring.runner import INPUT, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from detector.classifiers.base import Float32Array

NAME = "supervised"
MIN_IMAGES = 20
_TREES: Final = {
    "n_estimators": 400,
    "learning_rate": 0.05,
    "max_depth": 4,
    "subsample": 0.5,
    "max_features": 0.1,
    "min_samples_leaf": 5,
}


def fit_supervised(benign: Float32Array, attacked: Mapping[str, Float32Array], *, seed: int = 0) -> FittedScorer:
    """Fit on benign features and on those of successful attacks.

    Each attack weighs the same, and all attacks together as much as the benign images, however many succeeded.

    Args:
        benign: float32 (N, features), N >= 20.
        attacked: float32 (M, features) per attack; those without images are left out.
        seed: Of the trees' subsampling.

    Raises:
        CalibrationError: Too few benign or attacked images.
    """
    groups = [features for _, features in sorted(attacked.items()) if len(features)]
    total = sum(len(features) for features in groups)
    if len(benign) < MIN_IMAGES or total < MIN_IMAGES:
        raise CalibrationError(
            f"the supervised scorer needs at least {MIN_IMAGES} benign and {MIN_IMAGES} successfully attacked images, "
            f"not {len(benign)} and {total}; give more images or use --scorer one-class"
        )
    features = np.concatenate([benign, *groups])
    adversarial = np.arange(len(features)) >= len(benign)
    weights = [np.ones(len(benign))] + [np.full(len(g), len(benign) / len(groups) / len(g)) for g in groups]
    trees = GradientBoostingClassifier(**_TREES, random_state=seed)
    trees.fit(features, adversarial, sample_weight=np.concatenate(weights))
    return FittedScorer(NAME, _graph(trees, features.shape[1]).SerializeToString(deterministic=True))


def _graph(trees: GradientBoostingClassifier, features: int) -> ModelProto:
    """The trees' own nodes, renamed to read `features`, then softplus of the log-odds of being adversarial."""
    options = {id(trees): {"raw_scores": True, "zipmap": False}}
    converted = to_onnx(
        trees, initial_types=[(INPUT, FloatTensorType([None, features]))], options=options, target_opset=OPSETS
    )
    log_odds = converted.graph.output[1].name  # (N, 2): minus and plus the log-odds
    nodes = [
        *converted.graph.node,
        helper.make_node("Gather", [log_odds, "adversarial_column"], ["log_odds"], axis=1),
        helper.make_node("Softplus", ["log_odds"], [OUTPUT]),
    ]
    constants = [*converted.graph.initializer, numpy_helper.from_array(np.array(1, np.int64), "adversarial_column")]
    return scorer_graph(nodes, constants, features)
