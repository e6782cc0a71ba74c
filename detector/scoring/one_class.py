"""The one-class scorer: how unlike benign profiles a profile is. Needs no adversarial image.

Features are standardised; their covariance is estimated with Ledoit-Wolf shrinkage (there are about as many features as
images); the score is half the squared Mahalanobis distance, which is the Gaussian's negative log-likelihood up to a
constant, in nats. It grows in every direction away from benign profiles, so barely-crossing attacks and deep,
high-confidence ones are both flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper, numpy_helper
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from detector.errors import CalibrationError
from detector.scoring.fitted import FittedScorer, scorer_graph
from detector.scoring.runner import INPUT, OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from detector.classifiers.base import Float32Array

NAME = "one-class"
MIN_IMAGES = 20


def fit_one_class(benign: Float32Array) -> FittedScorer:
    """Fit on benign features.

    Args:
        benign: float32 (N, features), N >= 20.

    Raises:
        CalibrationError: Too few images.
    """
    if len(benign) < MIN_IMAGES:
        raise CalibrationError(f"the one-class scorer needs at least {MIN_IMAGES} images to fit, not {len(benign)}")
    scaler = StandardScaler().fit(benign.astype(np.float64))
    shrunk = LedoitWolf(assume_centered=True, store_precision=False).fit(scaler.transform(benign.astype(np.float64)))
    values, vectors = np.linalg.eigh(shrunk.covariance_)
    whitening = (vectors / np.sqrt(values * 2)) / scaler.scale_[:, None]
    return FittedScorer(NAME, _graph(scaler.mean_, whitening).SerializeToString(deterministic=True))


def _graph(mean: NDArray[np.float64], whitening: NDArray[np.float64]) -> ModelProto:
    """``score = sum(((features - mean) @ whitening)^2)``; the factor 1/2 is inside the whitening matrix."""
    nodes = [
        helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "whitening"], ["whitened"]),
        helper.make_node("ReduceSumSquare", ["whitened"], [OUTPUT], axes=[1], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(mean.astype(np.float32), "mean"),
        numpy_helper.from_array(whitening.astype(np.float32), "whitening"),
    ]
    return scorer_graph(nodes, constants, len(mean))
