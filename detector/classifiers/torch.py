"""A torch module as a `Classifier` that can be differentiated. Offline only: nothing that serves imports this."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detector.classifiers.base import Answers, ChannelOrder, Float32Array, ImageSpec, Layout, OutputKind, PixelType
from detector.classifiers.options import SpecOptions, check_spec, infer_spec
from detector.classifiers.outputs import (
    as_rows,
    as_spec_images,
    class_names,
    detect_output_kind,
    probe_images,
    to_logits,
)
from detector.errors import ClassifierError, GradientsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_CHUNK = 256


class TorchClassifier:
    """A classifier in a torch module, kept in evaluation mode with its parameters frozen.

    A module built for float16 is computed in float32, which is what processors without half arithmetic need and
    what gradients want.

    Args:
        module: Takes a batch as `spec` describes it; returns (N, classes), alone, first in a tuple, or as the field
            ``logits``. It is changed in place.
        spec: How the module wants its images.
        labels: One name per class; None means ``class_0``, ``class_1``, ...
        output_kind: What the module puts out; None looks at its answers to a few random images.
        fixed_batch: The one batch size the module takes, where it takes no other.
        name: What to call it in descriptions and errors.

    Raises:
        ClassifierError: The module fails on images of `spec`, or contradicts an argument.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: ImageSpec,
        *,
        labels: Sequence[str] | None = None,
        output_kind: OutputKind | None = None,
        fixed_batch: int | None = None,
        name: str = "torch module",
    ) -> None:
        self.module = _frozen(module, spec)
        self.device = _device(module)
        self.fixed_batch = fixed_batch
        self.spec = spec
        self.tap_count = 0
        self._name = name
        answers = self._rows(probe_images(spec))
        self.labels = class_names(labels, answers.shape[1])
        self.output_kind = output_kind or detect_output_kind(answers)
        self.description = f"{name} on {self.device} (torch), {len(self.labels)} classes"

    def on(self, device: str) -> TorchClassifier:
        """The same on another device; the module is moved in place.

        Raises:
            ClassifierError: There is no such device here, or the module can't be moved or fails there.
        """
        try:
            module = self.module.to(device)
        # Each backend raises what it likes where it has no device.
        except (AssertionError, RuntimeError, NotImplementedError) as error:
            raise ClassifierError(f"{self._name}: can't be moved to {device}: {error}") from error
        return TorchClassifier(
            module,
            self.spec,
            labels=self.labels,
            output_kind=self.output_kind,
            fixed_batch=self.fixed_batch,
            name=self._name,
        )

    def logits(self, images: Float32Array) -> Float32Array:
        """Classify canonical images.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], any N >= 1.

        Returns:
            float32 (N, classes): logits, or log-probabilities where the module puts out probabilities.

        Raises:
            ClassifierError: The module failed, or put out something that is not (N, classes) finite numbers.
        """
        return to_logits(self._rows(as_spec_images(images, self.spec)), self.output_kind)

    def answers(self, images: Float32Array) -> Answers:
        """As `logits`; a torch module has no taps."""
        return Answers(self.logits(images), np.empty((len(images), 0), np.float32))

    def differentiable_logits(self, images: Tensor) -> Tensor:
        """Classify canonical images with gradients to the pixels.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], on any device.

        Returns:
            float32 (N, classes) on the device of `images`: logits, or log-probabilities.

        Raises:
            GradientsUnavailableError: The module takes whole uint8 levels.
            ClassifierError: The module failed.
        """
        if self.spec.dtype is PixelType.UINT8:
            raise GradientsUnavailableError(
                f"{self._name} takes uint8 pixels, which have no gradient: pass a gradient source that takes floats"
            )
        encoded = encode_tensor(self.spec, images.to(self.device))
        rows = (
            torch.cat([self._forward(group).flatten(1) for group in _groups(encoded, self.fixed_batch)])
            .float()
            .to(images.device)
        )
        return logit_rows(rows, self.output_kind)

    def _rows(self, images: Float32Array) -> Float32Array:
        size = self.fixed_batch or _CHUNK
        with torch.no_grad():
            return np.concatenate([self._chunk(images[i : i + size]) for i in range(0, len(images), size)])

    def _chunk(self, images: Float32Array) -> Float32Array:
        encoded = torch.from_numpy(self.spec.encode(images)).to(self.device)
        if self.spec.dtype is PixelType.FLOAT16:
            encoded = encoded.float()
        return as_rows(self._forward(encoded).cpu().numpy(), len(images), self._name)

    def _forward(self, encoded: Tensor) -> Tensor:
        missing = self.fixed_batch - len(encoded) if self.fixed_batch else 0
        if missing:
            encoded = torch.cat([encoded, encoded[-1:].expand(missing, *encoded.shape[1:])])
        try:
            rows = class_tensor(self.module(encoded))
        # A user's module may raise anything; an exported program raises AssertionError on a wrong shape.
        except Exception as error:
            reason = (str(error).splitlines() or [repr(error)])[0]
            raise ClassifierError(
                f"{self._name}: fails on a {encoded.dtype} batch of shape {tuple(encoded.shape)}: {reason}"
            ) from error
        return rows[: len(rows) - missing]


def encode_tensor(spec: ImageSpec, images: Tensor) -> Tensor:
    """`ImageSpec.encode` in differentiable torch operations, for float inputs; float16 inputs stay float32.

    Args:
        spec: Of a classifier that takes floats.
        images: float32 (N, channels, height, width), values in [0, 1].

    Returns:
        float32 (N, *spec.input_shape).
    """
    low, high = spec.value_range
    values = images.flip(1) if spec.channel_order is ChannelOrder.BGR else images
    if (low, high) != (0.0, 1.0):
        values = values * (high - low) + low
    if spec.mean:
        values = values - torch.tensor(spec.mean, device=values.device)[:, None, None]
    if spec.std:
        values = values / torch.tensor(spec.std, device=values.device)[:, None, None]
    return values.permute(0, 2, 3, 1).contiguous() if spec.layout is Layout.NHWC else values


def _groups(images: Tensor, size: int | None) -> list[Tensor]:
    return [images[i : i + size] for i in range(0, len(images), size)] if size else [images]


def set_mode(module: nn.Module, *, training: bool) -> None:
    """Put a module in training or evaluation mode; a program made by torch.export stays in the one it was made in."""
    with contextlib.suppress(NotImplementedError):
        module.train() if training else module.eval()


def _frozen(module: nn.Module, spec: ImageSpec) -> nn.Module:
    set_mode(module, training=False)
    for parameter in module.parameters():
        parameter.requires_grad = False
    return module.float() if spec.dtype is PixelType.FLOAT16 else module


def _device(module: nn.Module) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def class_tensor(output: Any) -> Tensor:
    """The tensor of classes in what a module returns: itself, its field ``logits``, or the first of a tuple.

    Raises:
        TypeError: There is none.
    """
    value = output
    if isinstance(value, Mapping) and "logits" in value:
        value = value["logits"]
    elif hasattr(value, "logits"):
        value = value.logits
    elif isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"put out {type(output).__name__}; a tensor (N, classes) is expected")
    return value


def logit_rows(rows: Tensor, kind: OutputKind) -> Tensor:
    """`to_logits` in differentiable torch operations: (N, classes), float32."""
    if kind is OutputKind.LOGITS:
        return rows
    return torch.log(rows.clamp_min(torch.finfo(torch.float32).tiny))


@dataclass(frozen=True)
class TorchSource:
    """A torch module from somewhere, before it is known how it wants its images.

    Args:
        module: The module.
        name: What to call it in descriptions and errors.
        shape: Shape of its input, batch first, where it declares one; None stands for sizes it leaves open.
        dtype: Element type of its input, where it declares one.
    """

    module: nn.Module
    name: str
    shape: tuple[int | None, ...] | None = None
    dtype: PixelType | None = None

    def classifier(
        self,
        spec: ImageSpec | SpecOptions,
        *,
        labels: Sequence[str] | None = None,
        output_kind: OutputKind | None = None,
    ) -> TorchClassifier:
        """Make it a classifier.

        Args:
            spec: How it wants its images, or what is known of that; the rest is taken from what it declares.
            labels: One name per class.
            output_kind: What it puts out; None detects it.

        Raises:
            ClassifierError: It contradicts `spec`, or fails.
        """
        if self.shape is None or self.dtype is None:
            spec = spec.to_spec() if isinstance(spec, SpecOptions) else spec
            fixed_batch = None
        else:
            spec = infer_spec(self.shape, self.dtype, spec) if isinstance(spec, SpecOptions) else spec
            check_spec(spec, self.shape, self.dtype)
            fixed_batch = self.shape[0]
        return TorchClassifier(
            self.module, spec, labels=labels, output_kind=output_kind, fixed_batch=fixed_batch, name=self.name
        )
