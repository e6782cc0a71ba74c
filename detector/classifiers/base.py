"""What a classifier is: images in, logits out, and an `ImageSpec` that says how it wants its images.

Inside Isthmus an image is always *canonical*: float32, shape (3 or 1, height, width), RGB (or grey), values in
[0, 1]. A classifier converts canonical images to whatever its graph was built for, so layout, channel order, dtype
and normalisation are dealt with in exactly one place, `ImageSpec.encode`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Mapping

Float32Array = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]


class Layout(StrEnum):
    """Order of the axes of a classifier's input."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class ChannelOrder(StrEnum):
    """Order of the channels of a classifier's input."""

    RGB = "RGB"
    BGR = "BGR"
    GRAY = "GRAY"


class PixelType(StrEnum):
    """Element type of a classifier's input."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    UINT8 = "uint8"


class OutputKind(StrEnum):
    """What a classifier's graph puts out. Probabilities are turned into log-probabilities at once."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """How a classifier wants its images.

    A canonical pixel p in [0, 1] of channel c becomes ``(low + p * (high - low) - mean[c]) / std[c]``, where
    ``(low, high)`` is `value_range`; channels of `mean` and `std` are in the classifier's own channel order.

    Args:
        height: Rows, pixels.
        width: Columns, pixels.
        layout: Axis order of the graph's input.
        channel_order: Channel order of the graph's input; GRAY means one channel.
        dtype: Element type of the graph's input.
        value_range: What black and full intensity are before normalisation, such as (0, 1) or (0, 255).
        mean: Per channel, or empty for none.
        std: Per channel, or empty for none.

    Raises:
        ClassifierError: A field is out of range, or fields contradict each other.
    """

    height: int
    width: int
    layout: Layout = Layout.NCHW
    channel_order: ChannelOrder = ChannelOrder.RGB
    dtype: PixelType = PixelType.FLOAT32
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ClassifierError(f"ImageSpec.height and width must be at least 1, not {self.height} x {self.width}")
        if not self.value_range[0] < self.value_range[1]:
            raise ClassifierError(f"ImageSpec.value_range must rise, not {self.value_range}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) != self.channels:
                raise ClassifierError(f"ImageSpec.{name} needs {self.channels} values, one per channel, not {values}")
        if any(s <= 0 for s in self.std):
            raise ClassifierError(f"ImageSpec.std must be positive, not {self.std}")
        if self.dtype is PixelType.UINT8 and (self.mean or self.std or self.value_range != (0.0, 255.0)):
            raise ClassifierError("ImageSpec: a uint8 input takes raw pixels: value_range (0, 255), no mean, no std")

    @property
    def channels(self) -> int:
        """Channels of one image: 1 for GRAY, else 3."""
        return 1 if self.channel_order is ChannelOrder.GRAY else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one canonical image: (channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image as the graph takes it, without the batch axis."""
        return self.shape if self.layout is Layout.NCHW else (self.height, self.width, self.channels)

    def encode(self, images: Float32Array) -> NDArray[Any]:
        """Turn canonical images into the graph's input.

        Args:
            images: float32 (N, channels, height, width), RGB or grey, values in [0, 1].

        Returns:
            The graph's input, contiguous, (N, *input_shape), of `dtype`. For uint8 inputs, rounded to whole levels.
        """
        low, high = self.value_range
        values = images[:, ::-1] if self.channel_order is ChannelOrder.BGR else images
        if (low, high) != (0.0, 1.0):
            values = values * np.float32(high - low) + np.float32(low)
        if self.mean:
            values = values - np.asarray(self.mean, np.float32)[:, None, None]
        if self.std:
            values = values / np.asarray(self.std, np.float32)[:, None, None]
        if self.layout is Layout.NHWC:
            values = values.transpose(0, 2, 3, 1)
        if self.dtype is PixelType.UINT8:
            values = np.clip(np.rint(values), 0, 255)
        return np.ascontiguousarray(values, dtype=self.dtype.value)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ImageSpec:
        """Read what `to_json` wrote.

        Raises:
            ClassifierError: A field is missing, unknown or out of range.
        """
        try:
            return cls(
                height=int(fields["height"]),
                width=int(fields["width"]),
                layout=Layout(fields["layout"]),
                channel_order=ChannelOrder(fields["channel_order"]),
                dtype=PixelType(fields["dtype"]),
                value_range=(float(fields["value_range"][0]), float(fields["value_range"][1])),
                mean=tuple(float(m) for m in fields["mean"]),
                std=tuple(float(s) for s in fields["std"]),
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ClassifierError(f"ImageSpec: unreadable field: {error!r}") from error


@dataclass(frozen=True, eq=False)
class Answers:
    """What one forward gives for each of N images.

    Args:
        logits: float32 (N, classes): logits, or log-probabilities where the graph puts out probabilities.
        taps: float32 (N, numbers): hidden layers pooled per channel; no numbers where the classifier has no taps.
    """

    logits: Float32Array
    taps: Float32Array


@runtime_checkable
class Classifier(Protocol):
    """A deployed classifier: canonical images in, logits out."""

    @property
    def spec(self) -> ImageSpec:
        """How the wrapped graph wants its images."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per class, in output order."""
        ...

    @property
    def output_kind(self) -> OutputKind:
        """What the wrapped graph puts out."""
        ...

    @property
    def description(self) -> str:
        """One line for people: what runs, and on which device."""
        ...

    @property
    def tap_count(self) -> int:
        """Numbers its taps give per image; 0 without taps."""
        ...

    def answers(self, images: Float32Array) -> Answers:
        """Classify canonical images, and read the taps on the way; images and errors as for `logits`."""
        ...

    def logits(self, images: Float32Array) -> Float32Array:
        """Classify canonical images.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], any N >= 1.

        Returns:
            float32 (N, classes): logits, or log-probabilities where the graph puts out probabilities.

        Raises:
            ClassifierError: The graph failed, or put out something that is not (N, classes) finite numbers.
        """
        ...
