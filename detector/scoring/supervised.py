"""The supervised scorer: boosted trees and a weighted sum that tell benign profiles from attacked ones, and a tail.

The mean of the two's log-odds gives ``-log P(benign)`` in nats, which neither saturates nor goes below zero. Both know
nothing of attacks unlike those they saw, and may call them benign; so whatever lies further from benign profiles than
all but one in two hundred of these do scores more, the further the more. It is the logarithm of the distance that
counts, `detector.scoring.tail.NATS` for each of its standard deviations among benign images. At the other end lies what
barely crossed the border, which trees that saw other attacks take for usual: the classifier's own doubt, its loss at
the image, counts by `DOUBT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import helper, numpy_helper
from sklearn.ensemble import HistGradientBoostingClassifier

from detector.errors import CalibrationError
from detector.scoring.fitted import FittedScorer, prefix_names, scorer_graph
from detector.scoring.gaussian import MIN_IMAGES
from detector.scoring.linear import fit_linear
from detector.scoring.runner import INPUT, OUTPUT
from detector.scoring.tail import Tail, fit_tail
from detector.scoring.trees import tree_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto

    from detector.classifiers.base import Float32Array
    from detector.scoring.linear import Linear

NAME = "supervised"
DOUBT: Final = 0.3
"""What a nat of the classifier's loss at the image adds to the score."""
DOUBT_WEIGHTS: Final = "doubt_weights"
"""Constant of the graph: what each feature adds directly, a column."""
LINEAR: Final = "linear."
"""Prefix of the weighted sum's constants in the graph."""
PROFILE_TAIL: Final = "profile."
RESIDUAL_TAIL: Final = "residual."
"""Prefixes of the tails' constants in the graph: of all features, and of the noise residuals alone."""
_CORRUPTED_SHARE = 0.45
_STEP = 1e-4  # of a feature's standard deviation
_TAIL_QUANTILE = 0.995  # of benign distances
_RESIDUAL_TAIL_QUANTILE = 0.97
_TREES: Final = {
    "max_iter": 150,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 10,
    "l2_regularization": 1.0,
    "max_features": 0.1,
    "max_bins": 63,
    "early_stopping": False,
}


def fit_supervised(
    benign: Float32Array,
    attacked: Mapping[str, Float32Array],
    *,
    corrupted: Float32Array | None = None,
    doubt: int | None = None,
    residuals: NDArray[np.int64] | None = None,
    tails: Mapping[str, Tail] | None = None,
    seed: int = 0,
) -> FittedScorer:
    """Fit on benign features and on those of successful attacks.

    Each attack weighs the same, and all attacks together as much as all that is benign, however many succeeded.
    Corrupted images together weigh less than half of the benign ones: where noise is as large as an attack, catching
    the one is flagging the other, and this is where the two are balanced.

    Args:
        benign: float32 (N, features), N >= 20.
        attacked: float32 (M, features) per attack; those without images are left out.
        corrupted: float32 (K, features) of images that are benign, but not as they were taken; K may be 0.
        doubt: Which of the features is the loss at the image; None does without this part of the score.
        residuals: Which of the features are of noise residuals; None does without their own tail.
        tails: Of `fit_tails` for the same benign and corrupted images; None fits them.
        seed: Of the features each split may look at.

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
    usual, weights = _usual(benign, corrupted)
    if tails is None:
        tails = fit_tails(benign, corrupted=corrupted, residuals=residuals)
    features = np.concatenate([usual, *groups])
    adversarial = np.arange(len(features)) >= len(usual)
    weights += [np.full(len(g), sum(map(np.sum, weights)) / len(groups) / len(g)) for g in groups]
    counts = np.concatenate(weights)
    trees = HistGradientBoostingClassifier(**_TREES, random_state=seed)
    trees.fit(_rounded(features), adversarial, sample_weight=counts)
    linear = fit_linear(benign, features, adversarial, counts)
    return FittedScorer(NAME, _graph(trees, linear, tails, doubt).SerializeToString(deterministic=True))


def fit_tails(
    benign: Float32Array, *, corrupted: Float32Array | None = None, residuals: NDArray[np.int64] | None = None
) -> dict[str, Tail]:
    """The one-class tails of a supervised scorer, which no attack has a part in; arguments as for `fit_supervised`.

    Raises:
        CalibrationError: Too few benign images.
    """
    usual, _ = _usual(benign, corrupted)
    tails = {PROFILE_TAIL: fit_tail(usual, np.arange(benign.shape[1]), quantile=_TAIL_QUANTILE)}
    if residuals is not None:
        tails[RESIDUAL_TAIL] = fit_tail(benign, residuals, quantile=_RESIDUAL_TAIL_QUANTILE)
    return tails


def _rounded(features: Float32Array) -> Float32Array:
    """Features without what rounding alone may change, so that no split is made between two values of one number.

    Another engine or processor rounds otherwise: a split within the rounding would send an image either way.
    """
    step = np.maximum(_STEP * features.std(axis=0), np.finfo(np.float32).tiny)
    return (np.rint(features / step) * step).astype(np.float32)


def _usual(benign: Float32Array, corrupted: Float32Array | None) -> tuple[Float32Array, list[NDArray[np.float64]]]:
    """All that is benign, float32 (N + K, features), and its weights, in parts."""
    if corrupted is None or not len(corrupted):
        return benign, [np.ones(len(benign))]
    weight = _CORRUPTED_SHARE * len(benign) / len(corrupted)
    return np.concatenate([benign, corrupted]), [np.ones(len(benign)), np.full(len(corrupted), weight)]


def _graph(
    trees: HistGradientBoostingClassifier, linear: Linear, tails: Mapping[str, Tail], doubt: int | None
) -> ModelProto:
    """Softplus of the mean log-odds of being adversarial, the tails, and the doubt."""
    features: int = trees.n_features_in_
    weights = np.zeros((features, 1), np.float32)
    if doubt is not None:
        weights[doubt] = DOUBT
    constants = [numpy_helper.from_array(weights, DOUBT_WEIGHTS), helper.make_tensor("column", 7, [1], [1])]
    nodes, more_constants = linear.nodes(INPUT, "log_odds")
    prefix_names(nodes, more_constants, LINEAR, keep=INPUT)
    constants += more_constants
    nodes += [
        tree_node(trees, INPUT, "log_odds_of_trees"),
        helper.make_node("Mean", ["log_odds_of_trees", f"{LINEAR}log_odds"], ["log_odds"]),
        helper.make_node("Softplus", ["log_odds"], ["surprise"]),
        helper.make_node("MatMul", [INPUT, DOUBT_WEIGHTS], ["doubt"]),
    ]
    parts = ["surprise", "doubt"]
    for prefix, tail in tails.items():
        more_nodes, more_constants = tail.nodes(INPUT, "tail")
        prefix_names(more_nodes, more_constants, prefix, keep=INPUT)
        nodes, constants, parts = nodes + more_nodes, constants + more_constants, [*parts, f"{prefix}tail"]
    nodes.append(helper.make_node("Sum", parts, ["scores"]))
    nodes.append(helper.make_node("Squeeze", ["scores", "column"], [OUTPUT]))
    return scorer_graph(nodes, constants, features)
