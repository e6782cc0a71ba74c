"""Pixels in and out of the canonical form, as nodes of a graph: twins of `to_canonical` and of `ImageSpec.encode`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onnx import TensorProto

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, PixelType
from detector.engine.fusing.writer import float_rows
from detector.errors import FusionError

if TYPE_CHECKING:
    from detector.engine.fusing.writer import GraphWriter

_FULL = 255.0
_ELEMENTS: Final = {
    PixelType.FLOAT32: TensorProto.FLOAT,
    PixelType.FLOAT16: TensorProto.FLOAT16,
    PixelType.UINT8: TensorProto.UINT8,
}


@dataclass(frozen=True)
class PixelForm:
    """How a fused graph takes its images: RGB or grey, uint8 of 0..255 or floats of 0..1.

    Args:
        dtype: uint8 or float32.
        layout: Order of the axes.

    Raises:
        FusionError: Another dtype.
    """

    dtype: PixelType = PixelType.FLOAT32
    layout: Layout = Layout.NCHW

    def __post_init__(self) -> None:
        if self.dtype not in {PixelType.FLOAT32, PixelType.UINT8}:
            raise FusionError(f"a fused graph takes uint8 or float32 images, not {self.dtype.value}")

    @property
    def element(self) -> int:
        """Of ONNX's element types."""
        return int(_ELEMENTS[self.dtype])

    def shape(self, spec: ImageSpec) -> tuple[int, ...]:
        """Of one image."""
        channels, height, width = spec.shape
        return (channels, height, width) if self.layout is Layout.NCHW else (height, width, channels)


def write_canonical(writer: GraphWriter, images: str, form: PixelForm) -> str:
    """Images of a form made canonical: float32 (N, channels, height, width) in [0, 1]."""
    if form.dtype is PixelType.UINT8:
        images = writer.op("Div", writer.op("Cast", images, to=TensorProto.FLOAT), writer.number(_FULL))
    return images if form.layout is Layout.NCHW else writer.transpose(images, 0, 3, 1, 2)


def write_encoded(writer: GraphWriter, images: str, spec: ImageSpec) -> str:
    """Canonical images as a classifier wants them."""
    low, high = spec.value_range
    if spec.channel_order is ChannelOrder.BGR:
        images = writer.take(images, [2, 1, 0], axis=1)
    if (low, high) != (0.0, 1.0):
        images = writer.op("Add", writer.op("Mul", images, writer.number(high - low)), writer.number(low))
    if spec.mean:
        images = writer.op("Sub", images, writer.constant(float_rows(spec.mean, 3)))
    if spec.std:
        images = writer.op("Div", images, writer.constant(float_rows(spec.std, 3)))
    if spec.layout is Layout.NHWC:
        images = writer.transpose(images, 0, 2, 3, 1)
    if spec.dtype is PixelType.UINT8:
        images = writer.op("Clip", writer.op("Round", images), writer.number(0), writer.number(_FULL))
    if spec.dtype is not PixelType.FLOAT32:
        images = writer.op("Cast", images, to=_ELEMENTS[spec.dtype])
    return images
