"""Hidden layers as the peers read them, and the logistic regression that weighs evidence from several of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_CHUNK = 256
_ITERATIONS = 1000


def readable_layers(data: PeerData, peer: str) -> Callable[[Float32Array], tuple[Float32Array, ...]]:
    """`PeerData.hidden`, where there is something to read.

    Args:
        data: With at least one image; one forward is spent on it.
        peer: Who reads, for the error.

    Raises:
        CalibrationError: The classifier has no hidden layer that can be read; names the peer.
    """
    if not sum(layer.shape[1] for layer in data.hidden(data.images[:1])):
        raise CalibrationError(f"{peer}: needs hidden layers, and the classifier has none that can be read")
    return data.hidden


def layer_activations(
    hidden: Callable[[Float32Array], tuple[Float32Array, ...]], images: Float32Array
) -> list[NDArray[np.float64]]:
    """Channel means of every hidden layer, computed a chunk of images at a time.

    Args:
        hidden: As in `PeerData`.
        images: float32 (N, channels, height, width), N >= 1.

    Returns:
        Per layer float64 (N, layer's channels).
    """
    chunks = [hidden(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    return [np.concatenate(layer).astype(np.float64) for layer in zip(*chunks, strict=True)]


def benign_or_attacked(benign: NDArray[np.float64], attacked: NDArray[np.float64]) -> Any:
    """A logistic regression on standardised features, the two sides weighing the same.

    Args:
        benign: (N, features).
        attacked: (M, features).

    Returns:
        A scikit-learn pipeline; its `decision_function` is the log-odds of being attacked.
    """
    features = np.concatenate([benign, attacked])
    truth = np.arange(len(features)) >= len(benign)
    regression = LogisticRegression(class_weight="balanced", max_iter=_ITERATIONS)
    return make_pipeline(StandardScaler(), regression).fit(features, truth)
