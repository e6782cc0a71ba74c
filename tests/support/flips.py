"""One bit of one weight, turned over: what a fault of the memory makes of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from detector.canaries.changes import weights_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGN, HIGH_EXPONENT, LOW_EXPONENT = 31, 30, 23


def with_flipped_bit(model: bytes, bit: int, *, weight: int | None = None, layer: int | None = None) -> bytes:
    """A graph with one bit of one float32 weight turned over.

    Args:
        model: The graph.
        bit: 0 the mantissa's lowest, 23 the exponent's lowest, 31 the sign.
        weight: Which of the layer's; its largest if not given.
        layer: Which; the largest if not given.
    """
    proto = onnx.load_from_string(model)
    layers = weights_of(proto)
    tensor = layers[layer] if layer is not None else max(layers, key=lambda one: int(np.prod(one.dims)))
    values = numpy_helper.to_array(tensor).copy()
    at = int(np.argmax(np.abs(values))) if weight is None else weight
    values.view(np.uint32).reshape(-1)[at] ^= np.uint32(1 << bit)
    write(tensor, values)
    return bytes(proto.SerializeToString())


def random_flips(model: bytes, bits: Sequence[int], count: int, *, seed: int) -> list[bytes]:
    """So many graphs with a random one of these bits of a random weight of the largest layer turned over."""
    generator = np.random.default_rng(seed)
    size = max(int(np.prod(one.dims)) for one in weights_of(onnx.load_from_string(model)))
    return [
        with_flipped_bit(model, int(generator.choice(bits)), weight=int(generator.integers(size))) for _ in range(count)
    ]
