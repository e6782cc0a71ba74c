"""Log-odds that are linear in the features: ridge logistic regression beside the trees.

Trees split a few features at a time; what a thousand features each say a little of, a weighted sum hears better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onnx import helper
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from detector.scoring.fitted import float_constants
from detector.scoring.gaussian import usual_scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from detector.classifiers.base import Float32Array

CONSTANTS: Final = ("mean", "inverse_scale", "weights", "bias")
"""Names of the graph's constants, in the order of `Linear`'s fields."""
_STRENGTH: Final = 0.01  # scikit-learn's C: how much the images count against the ridge
_MOST_ITERATIONS: Final = 1000


@dataclass(frozen=True, eq=False)
class Linear:
    """Log-odds of being adversarial.

    Args:
        mean: float64 (features,).
        inverse_scale: float64 (features,): 1 / standard deviation; 1 for a feature that does not vary.
        weights: float64 (features,): per standard deviation.
        bias: At the mean.
    """

    mean: NDArray[np.float64]
    inverse_scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def log_odds(self, features: Float32Array) -> NDArray[np.float64]:
        """float64 (N,), of features (N, features)."""
        found: NDArray[np.float64] = ((features - self.mean) * self.inverse_scale) @ self.weights + self.bias
        return found

    def nodes(self, features: str, output: str) -> tuple[list[NodeProto], list[TensorProto]]:
        """`log_odds` as nodes of a graph, ``features (N, F) -> output (N, 1)``, and their constants."""
        values = (self.mean, self.inverse_scale, self.weights[:, None], self.bias)
        steps = (
            ("Sub", (features, "mean"), "centred"),
            ("Mul", ("centred", "inverse_scale"), "standardised"),
            ("MatMul", ("standardised", "weights"), "weighted"),
            ("Add", ("weighted", "bias"), output),
        )
        nodes = [helper.make_node(kind, inputs, [name]) for kind, inputs, name in steps]
        return nodes, float_constants(CONSTANTS, values)


def fit_linear(
    benign: Float32Array, features: Float32Array, adversarial: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Linear:
    """Fit to benign and attacked images.

    Args:
        benign: float32 (M, features), M >= 1: what features are standardised by.
        features: float32 (N, features), of both kinds.
        adversarial: bool (N,), which of them are attacked.
        weights: float64 (N,): how much each image counts.
    """
    mean, inverse_scale = usual_scale(benign)
    model = LogisticRegression(C=_STRENGTH, max_iter=_MOST_ITERATIONS)
    # One thread: on a busy machine, several wait for each other; and the last digits hang on how many there are.
    with threadpool_limits(1):
        model.fit((features - mean) * inverse_scale, adversarial, sample_weight=weights)
    return Linear(mean, inverse_scale, model.coef_[0], float(model.intercept_[0]))
