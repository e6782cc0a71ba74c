"""What a model file leaves open about its images, what the user says about it, and the `ImageSpec` that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, PixelType
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANNELS = {1: ChannelOrder.GRAY, 3: ChannelOrder.RGB}
_RANK = 4
_DTYPES = {
    "tensor(float)": PixelType.FLOAT32,
    "tensor(float16)": PixelType.FLOAT16,
    "tensor(uint8)": PixelType.UINT8,
}


@dataclass(frozen=True, kw_only=True)
class SpecOptions:
    """The fields of an `ImageSpec` that the user states; None or empty leaves a field to the model.

    Args:
        layout: Axis order of the model's input.
        channel_order: Channel order of the model's input.
        dtype: Element type of the model's input.
        value_range: What black and full intensity are before normalisation.
        mean: Per channel, in the model's channel order.
        std: Per channel, in the model's channel order.
        height: Rows, pixels; needed where the model takes any.
        width: Columns, pixels; needed where the model takes any.
        before: How another classifier wanted the same images. Where none of channel order, range, mean and deviation is
            stated they are as they were, the last three between inputs of floats alone; None takes the usual ones.
    """

    layout: Layout | None = None
    channel_order: ChannelOrder | None = None
    dtype: PixelType | None = None
    value_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    height: int | None = None
    width: int | None = None
    before: ImageSpec | None = None

    def completed(self, dtype: PixelType) -> SpecOptions:
        """The same with what `before` says, where nothing is stated, for pixels of a type."""
        before = self.before
        if before is None or self.channel_order or self.value_range or self.mean or self.std:
            return self
        ordered = replace(self, channel_order=before.channel_order)
        if PixelType.UINT8 in {before.dtype, dtype}:
            return ordered
        return replace(ordered, value_range=before.value_range, mean=before.mean, std=before.std)

    def to_spec(self) -> ImageSpec:
        """The spec these options make on their own, for models that declare nothing: NCHW RGB float32 unless stated.

        Raises:
            ClassifierError: Height or width is not given.
        """
        if self.height is None or self.width is None:
            raise ClassifierError("the model does not say how large its images are: pass height and width")
        layout, dtype = self.layout or Layout.NCHW, self.dtype or PixelType.FLOAT32
        stated = self.completed(dtype)
        channels = 1 if stated.channel_order is ChannelOrder.GRAY else 3
        axes = (channels, None, None) if layout is Layout.NCHW else (None, None, channels)
        return infer_spec((None, *axes), dtype, replace(stated, layout=layout))


def pixel_type(graph_type: str) -> PixelType:
    """The element type behind ONNX Runtime's name for it, such as ``tensor(float)``.

    Raises:
        ClassifierError: No image comes in that type.
    """
    if graph_type not in _DTYPES:
        raise ClassifierError(f"the model's input is {graph_type}; float32, float16 or uint8 is expected")
    return _DTYPES[graph_type]


def infer_spec(shape: Sequence[int | str | None], dtype: PixelType, options: SpecOptions | None = None) -> ImageSpec:
    """Work out how a model wants its images.

    Args:
        shape: Shape of its input, batch first; names and None stand for sizes it leaves open.
        dtype: Element type of its input.
        options: What the user states; contradictions with the model are refused.

    Raises:
        ClassifierError: Something is neither in the shape nor stated, or the two contradict each other.
    """
    options = (options or SpecOptions()).completed(dtype)
    sizes = _sizes(shape)
    layout = options.layout or _layout(sizes)
    channel_axis, rows_axis, columns_axis = (0, 1, 2) if layout is Layout.NCHW else (2, 0, 1)
    value_range = options.value_range or ((0.0, 255.0) if dtype is PixelType.UINT8 else (0.0, 1.0))
    spec = ImageSpec(
        height=options.height or _known(sizes[rows_axis], "height"),
        width=options.width or _known(sizes[columns_axis], "width"),
        layout=layout,
        channel_order=options.channel_order or _channel_order(sizes[channel_axis]),
        dtype=options.dtype or dtype,
        value_range=value_range,
        mean=options.mean,
        std=options.std,
    )
    check_spec(spec, shape, dtype)
    return spec


def check_spec(spec: ImageSpec, shape: Sequence[int | str | None], dtype: PixelType) -> None:
    """Refuse a spec that contradicts the model's input.

    Raises:
        ClassifierError: Naming the field that contradicts.
    """
    if spec.dtype is not dtype:
        raise ClassifierError(f"ImageSpec.dtype is {spec.dtype}, but the model's input is {dtype}")
    fields = (
        ("channel_order", "height", "width") if spec.layout is Layout.NCHW else ("height", "width", "channel_order")
    )
    for field, wanted, size in zip(fields, spec.input_shape, _sizes(shape), strict=True):
        if size is not None and size != wanted:
            raise ClassifierError(
                f"ImageSpec.{field} ({getattr(spec, field)}) with layout {spec.layout} makes an input of "
                f"{spec.input_shape} per image, but the model takes {tuple(shape[1:])}"
            )


def _sizes(shape: Sequence[int | str | None]) -> tuple[int | None, ...]:
    if len(shape) != _RANK:
        raise ClassifierError(f"the model's input has shape {tuple(shape)}; four axes (a batch of images) are expected")
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape[1:])


def _layout(sizes: tuple[int | None, ...]) -> Layout:
    first, last = sizes[0] in _CHANNELS, sizes[-1] in _CHANNELS
    if first == last:
        raise ClassifierError(f"can't tell the layout of an input of {sizes} per image: pass layout (NCHW or NHWC)")
    return Layout.NCHW if first else Layout.NHWC


def _channel_order(size: int | None) -> ChannelOrder:
    if size is None:
        raise ClassifierError("the model leaves its number of channels open: pass channel_order (RGB, BGR or GRAY)")
    if size not in _CHANNELS:
        raise ClassifierError(f"the model takes {size} channels; images have 1 or 3 (is the layout right?)")
    return _CHANNELS[size]


def _known(size: int | None, field: str) -> int:
    if size is None:
        raise ClassifierError(f"the model takes images of any {field}: pass {field}")
    return size
