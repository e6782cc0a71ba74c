"""The one-class scorer: how unlike benign profiles a profile is. Needs no adversarial image.

The score is half the squared Mahalanobis distance, which is the Gaussian's negative log-likelihood up to a constant, in
nats. It grows in every direction away from benign profiles, so barely-crossing attacks and deep, high-confidence ones
are both flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import helper

from detector.scoring.fitted import FittedScorer, scorer_graph
from detector.scoring.gaussian import fit_gaussian
from detector.scoring.runner import INPUT, OUTPUT

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

NAME = "one-class"


def fit_one_class(benign: Float32Array) -> FittedScorer:
    """Fit on benign features.

    Args:
        benign: float32 (N, features), N >= 20.

    Raises:
        CalibrationError: Too few images.
    """
    nodes, constants = fit_gaussian(benign).nodes(INPUT, "distances")
    nodes.append(helper.make_node("Squeeze", ["distances", "column"], [OUTPUT]))
    constants.append(helper.make_tensor("column", 7, [1], [1]))
    graph = scorer_graph(nodes, constants, benign.shape[1])
    return FittedScorer(NAME, graph.SerializeToString(deterministic=True))
