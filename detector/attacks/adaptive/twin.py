"""A bundle's own classifier as a torch module: logits and taps, differentiable from the pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import torch
from torch import nn

from detector.classifiers.base import OutputKind, PixelType
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.classifiers.outputs import TAPS_OUTPUT

if TYPE_CHECKING:
    from torch import Tensor

    from detector.bundle import Bundle

_LEAST_VARIANCE = 1e-12  # of a channel: where nothing varies the root has no gradient


class TwinClassifier:
    """What a bundle's graph answers, with gradients.

    Args:
        bundle: Its graph is converted by onnx2torch, taps included.

    Raises:
        GradientsUnavailableError: It can't be converted, or its input has no gradient; says why.
        FusionError: The classifier runs elsewhere.
    """

    def __init__(self, bundle: Bundle) -> None:
        graph = onnx.load_from_string(bundle.graph).graph
        names = [output.name for output in graph.output]
        classes = next(at for at, name in enumerate(names) if name != TAPS_OUTPUT)
        taps = names.index(TAPS_OUTPUT) if TAPS_OUTPUT in names else None
        source = load_onnx_gradients(bundle.graph)
        _mend_roots(source.module)
        joined = replace(source, module=_Joined(source.module, classes, taps))
        spec = replace(bundle.manifest.spec, dtype=source.dtype or PixelType.FLOAT32)
        # Logits and taps travel as one row, which is no probability; log-probabilities are made below.
        self._rows = joined.classifier(spec, output_kind=OutputKind.LOGITS)
        self._classes = len(bundle.manifest.labels)
        self._probabilities = bundle.manifest.output_kind is OutputKind.PROBABILITIES

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and taps of canonical images.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1].

        Returns:
            float32 (N, classes), logits or log-probabilities, and float32 (N, numbers), the taps, none without taps.
        """
        logits, taps = self._rows.differentiable_logits(images).tensor_split([self._classes], dim=1)
        if self._probabilities:
            logits = torch.log(logits.clamp_min(torch.finfo(torch.float32).tiny))
        return logits, taps


class _Joined(nn.Module):
    """A graph's outputs as one row per image: logits, then taps."""

    def __init__(self, module: nn.Module, classes: int, taps: int | None) -> None:
        super().__init__()
        self.module = module
        self._wanted = [classes] if taps is None else [classes, taps]

    def forward(self, images: Tensor) -> Tensor:
        given = self.module(images)
        outputs = [given] if isinstance(given, torch.Tensor) else list(given)
        return torch.cat([outputs[at].flatten(1).float() for at in self._wanted], dim=1)


class _Root(nn.Module):
    """A square root whose gradient at zero is finite."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.sqrt(values.clamp_min(_LEAST_VARIANCE))


def _mend_roots(module: nn.Module) -> None:
    """A channel that does not vary has deviation 0: an infinite gradient, which would turn all others to NaN."""
    from onnx2torch.node_converters.pow import OnnxSqrt

    for name, child in list(module.named_modules()):
        if isinstance(child, OnnxSqrt):
            module.set_submodule(name, _Root())
