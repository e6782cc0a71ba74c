"""What can become of a classifier's graph, for `benchmarks.canaries`: each case is a graph and how it is fed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from detector.canaries.changes import weights_of, write
from detector.classifiers.surgery import read_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

BITS: Final = {
    "sign": (31,),
    "highest bit of the exponent": (30,),
    "middle bits of the exponent": (26, 27, 28, 29),
    "lowest bits of the exponent": (23, 24, 25),
    "mantissa, bit 22 (its highest)": (22,),
    "mantissa, bit 20": (20,),
    "mantissa, bit 18": (18,),
    "mantissa, bit 16": (16,),
    "mantissa, bit 14": (14,),
    "mantissa, bit 12": (12,),
    "mantissa, bits 0 to 11": tuple(range(12)),
}
_LARGEST: Final = 5  # layers that flips are drawn from
_PRUNED: Final = 0.01
_CALIBRATING: Final = 64


@dataclass(frozen=True)
class Case:
    """A changed classifier.

    Args:
        model: Its graph.
        fed: What becomes of canonical images on their way to it.
        order: Which output stands for each class; None leaves them in their order.
    """

    model: bytes
    fed: Callable[[Float32Array], Float32Array] = lambda images: images
    order: tuple[int, ...] | None = None


Change = tuple[str, "Callable[[], Iterator[Case]]"]


def changes(
    model: bytes, images: NDArray[Any], *, classes: int, others: list[Path], flips: int, seed: int
) -> list[Change]:
    """All changes by name, each with what makes its cases.

    Args:
        model: The classifier's graph, without taps.
        images: As the graph takes them, to quantise with.
        classes: Its classes.
        others: ONNX files of other classifiers.
        flips: Bit flips of each kind.
        seed: Of what is drawn.
    """
    found: list[Change] = [
        ("int8 weights, dynamic quantisation", lambda: iter([_dynamic(model)])),
        ("int8 throughout, static quantisation", lambda: iter([_static(model, images)])),
        ("weights rounded to float16", lambda: iter([_each_weight(model, _rounded_half)])),
        ("weights rounded to bfloat16", lambda: iter([_each_weight(model, _rounded_brain)])),
        ("1 % of all weights pruned, the smallest", lambda: iter([_each_weight(model, _pruned)])),
        ("two classes swapped", lambda: _swaps(model, classes, flips, seed)),
        ("colours in reverse order", lambda: iter([Case(model, lambda given: given[:, ::-1].copy())])),
        ("pixels scaled by 0.99", lambda: iter([Case(model, lambda given: given * np.float32(0.99))])),
        ("pixels shifted by 1 of 255", lambda: iter([Case(model, lambda given: given + np.float32(1 / 255))])),
    ]
    found += [(f"another classifier: {file.parent.name}", partial(_other, file)) for file in others]
    kinds = enumerate(BITS.items())
    return found + [(f"one bit: {name}", partial(_flips, model, bits, flips, (seed, at))) for at, (name, bits) in kinds]


def _other(file: Path) -> Iterator[Case]:
    yield Case(read_model(file))


def _flips(model: bytes, bits: tuple[int, ...], count: int, seed: tuple[int, int]) -> Iterator[Case]:
    """One bit of one float32 weight of the largest layers, at random."""
    proto = onnx.load_from_string(model)
    layers = [one for one in weights_of(proto) if one.data_type == onnx.TensorProto.FLOAT]
    largest = sorted(layers, key=lambda one: -int(np.prod(one.dims)))[:_LARGEST]
    generator = np.random.default_rng(seed)
    for _ in range(count):
        tensor = largest[generator.integers(len(largest))]
        kept = numpy_helper.to_array(tensor)
        values = kept.copy()
        at, bit = generator.integers(values.size), generator.choice(bits)
        values.view(np.uint32).reshape(-1)[at] ^= np.uint32(1 << int(bit))
        write(tensor, values)
        yield Case(proto.SerializeToString())
        write(tensor, kept)


def _swaps(model: bytes, classes: int, count: int, seed: int) -> Iterator[Case]:
    generator = np.random.default_rng(seed)
    for _ in range(count):
        order = np.arange(classes)
        pair = generator.choice(classes, 2, replace=False)
        order[pair] = order[pair[::-1]]
        yield Case(model, order=tuple(order.tolist()))


def _each_weight(model: bytes, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Case:
    proto = onnx.load_from_string(model)
    for tensor in weights_of(proto):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            write(tensor, change(numpy_helper.to_array(tensor)))
    return Case(proto.SerializeToString())


def _rounded_half(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float16).astype(np.float32)


def _rounded_brain(values: NDArray[Any]) -> NDArray[Any]:
    return ((values.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def _pruned(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.abs(values) <= np.quantile(np.abs(values), _PRUNED), np.float32(0), values)


def _dynamic(model: bytes) -> Case:
    # Signed weights of convolutions have no integer kernel.
    return _written(lambda out: quantize_dynamic(onnx.load_from_string(model), out, weight_type=QuantType.QUInt8))


def _static(model: bytes, images: NDArray[Any]) -> Case:
    name = onnx.load_from_string(model).graph.input[0].name
    reader = _Reader(name, images[:_CALIBRATING])
    return _written(lambda out: quantize_static(onnx.load_from_string(model), out, reader))


def _written(make: Callable[[Path], None]) -> Case:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "quantised.onnx"
        make(file)
        return Case(file.read_bytes())


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    """Gives a quantiser its images, one at a time."""

    def __init__(self, name: str, images: NDArray[Any]) -> None:
        self._left = iter([{name: image[None]} for image in images])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next one."""
        return next(self._left, None)
