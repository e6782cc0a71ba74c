"""Running a fitted scorer: an ONNX graph from features to scores, the same one at calibration and in serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from detector.classifiers.session import session_options
from detector.errors import BundleError

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array

INPUT = "features"
OUTPUT = "score"


class OnnxScorer:
    """A fitted scorer.

    Args:
        model: ONNX graph with input `features` float32 (N, F) and output `score` float32 (N,).

    Raises:
        BundleError: The graph can't be loaded, or has other inputs or outputs.
    """

    def __init__(self, model: bytes) -> None:
        options = session_options(1)  # the graph is tiny: more threads would only contend with the classifier's
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own untyped family
            raise BundleError(f"the scorer graph can't be loaded: {error}") from error
        check_ports([i.name for i in self._session.get_inputs()], [o.name for o in self._session.get_outputs()])
        self.features: int = self._session.get_inputs()[0].shape[1]

    def score(self, features: Float32Array) -> Float32Array:
        """Score features: float32 (N, F) to float32 (N,), nats, >= 0; higher means more adversarial."""
        (scores,) = self._session.run([OUTPUT], {INPUT: features})
        return np.asarray(scores, np.float32).reshape(len(features))


def check_ports(inputs: list[str], outputs: list[str]) -> None:
    """Check that a graph has a scorer's input and output.

    Raises:
        BundleError: It has others.
    """
    if inputs != [INPUT] or outputs != [OUTPUT]:
        raise BundleError(f"the scorer graph must map '{INPUT}' to '{OUTPUT}', not {inputs} to {outputs}")
