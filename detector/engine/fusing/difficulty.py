"""The difficulty of images and their strata, as nodes of a graph: twin of `detector.strata`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from detector.strata import Proxy

if TYPE_CHECKING:
    from detector.engine.fusing.writer import GraphWriter
    from detector.strata import Strata


def write_stratum(writer: GraphWriter, strata: Strata, logits: str, own: str) -> str:
    """int64 (N,): the stratum of every image; "" where there is but one.

    Args:
        writer: Where to.
        strata: Where they begin.
        logits: float32 (N, classes), of the images themselves.
        own: bool (N, classes): which class is the predicted one.
    """
    w = writer
    if strata.count == 1:
        return ""
    difficulty = _difficulty(w, w.op("Cast", logits, to=TensorProto.DOUBLE), own, strata.proxy)
    edges = w.constant(np.array([strata.edges], np.float32))
    reached = w.op("GreaterOrEqual", w.unsqueeze(difficulty, 1), edges)
    return w.reduce("Sum", w.op("Cast", reached, to=TensorProto.INT64), 1)


def _difficulty(writer: GraphWriter, logits: str, own: str, proxy: Proxy) -> str:
    """float32 (N,): how hard images are, by logits in double precision."""
    w = writer
    top = w.reduce("Max", logits, 1, keep=True)
    below = w.op("Sub", w.op("Where", own, w.constant(np.float64(-np.inf)), logits), top)
    second = w.reduce("Max", below, 1, keep=True)
    match proxy:
        case Proxy.MARGIN:
            found = w.op("Squeeze", second, w.constant([1]))
        case Proxy.CONFIDENCE:
            share = w.reduce("Sum", w.op("Exp", w.op("Sub", below, second)), 1)
            found = w.op("Add", w.op("Squeeze", second, w.constant([1])), w.op("Log", share))
        case Proxy.ENTROPY:
            weights = w.op("Exp", below)
            total = w.op("Add", w.reduce("Sum", weights, 1), w.constant(np.float64(1)))
            # The predicted class has no part in the sum, and its 0 * -inf must not get into it.
            each = w.op("Where", own, w.constant(np.float64(0)), w.op("Mul", weights, below))
            found = w.op("Sub", w.op("Log", total), w.op("Div", w.reduce("Sum", each, 1), total))
    return w.op("Cast", found, to=TensorProto.FLOAT)
