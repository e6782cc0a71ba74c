"""The tail: nats for whatever lies further from benign images than all but a few of these do.

It is the logarithm of the distance that counts, `NATS` for each of its standard deviations among benign images, beyond
a quantile of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import helper, numpy_helper

from detector.scoring.gaussian import Gaussian, fit_gaussian, usual_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from detector.classifiers.base import Float32Array

NATS: Final = 3.0
"""What a standard deviation beyond the benign tail adds to the score."""
COLUMNS: Final = "columns"
BEGINS: Final = "begins"
SLOPE: Final = "slope"
"""Constants of the graph beside the Gaussian's: which features it reads, the logarithm of the distance where the tail
begins, and its nats per unit of it."""
_LEAST_DISTANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Tail:
    """A tail over some of the features.

    Args:
        columns: int64, which features it reads.
        gaussian: Over these.
        begins: Logarithm of the distance where it begins.
        slope: Nats per unit of the logarithm beyond.
    """

    columns: NDArray[np.int64]
    gaussian: Gaussian
    begins: float
    slope: float

    def nodes(self, features: str, output: str) -> tuple[list[NodeProto], list[TensorProto]]:
        """As nodes of a graph, ``features (N, F) -> output (N, 1)`` in nats, and their constants."""
        nodes, constants = self.gaussian.nodes("read", "distances")
        nodes.insert(0, helper.make_node("Gather", [features, COLUMNS], ["read"], axis=1))
        steps = (
            ("Log", ("distances",), "log_distances"),
            ("Sub", ("log_distances", BEGINS), "beyond"),
            ("Relu", ("beyond",), "beyond_only"),
            ("Mul", ("beyond_only", SLOPE), output),
        )
        nodes += [helper.make_node(kind, inputs, [name]) for kind, inputs, name in steps]
        constants += [
            numpy_helper.from_array(self.columns.astype(np.int64), COLUMNS),
            helper.make_tensor(BEGINS, 1, [], [self.begins]),
            helper.make_tensor(SLOPE, 1, [], [self.slope]),
        ]
        return nodes, constants


def fit_tail(benign: Float32Array, columns: NDArray[np.int64], *, quantile: float) -> Tail:
    """Fit to benign features.

    Args:
        benign: float32 (N, features), N >= 20.
        columns: int64, which of them.
        quantile: Of the distances of benign images, where the tail begins; in (0, 1).

    Raises:
        CalibrationError: Too few images.
    """
    read = benign[:, columns]
    gaussian = fit_gaussian(read)
    usual = np.log(np.maximum(usual_distances(read), _LEAST_DISTANCE))
    slope = NATS / max(float(usual.std()), _LEAST_DISTANCE)
    return Tail(columns, gaussian, float(np.quantile(usual, quantile)), slope)
