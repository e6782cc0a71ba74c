"""The scorers' parts that are no trees in torch, read from their own graph: exact, and differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from detector.scoring.gaussian import CONSTANTS
from detector.scoring.supervised import DOUBT_WEIGHTS, TAIL_BEGINS, TAIL_SLOPE

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-12  # of a distance, whose logarithm is taken


class Distances(nn.Module):
    """float32 (N, features) to (N,): the logarithm of the distance from benign profiles.

    Args:
        constants: Of a graph that `detector.scoring.gaussian.Gaussian` wrote, by name.
    """

    def __init__(self, constants: dict[str, Tensor]) -> None:
        super().__init__()
        self._constants = [constants[name] for name in CONSTANTS]

    def forward(self, features: Tensor) -> Tensor:
        """Logarithms of the distances."""
        mean, inverse_scale, directions, back, weights, rest_weight = self._constants
        standardised = (features - mean) * inverse_scale
        along = standardised @ directions
        rest = (standardised - along @ back) * rest_weight
        return torch.log(((along * weights).square().sum(1) + rest.square().sum(1)).clamp_min(_LEAST))


class BesideTrees(nn.Module):
    """float32 (N, features) to (N,): what the supervised scorer adds to its trees, the tail and the doubt, nats.

    Args:
        constants: Of the graph of `detector.scoring.supervised`, by name.
    """

    def __init__(self, constants: dict[str, Tensor]) -> None:
        super().__init__()
        self._distances = Distances(constants)
        self._begins, self._slope = constants[TAIL_BEGINS], constants[TAIL_SLOPE]
        self._doubt = constants[DOUBT_WEIGHTS]

    def forward(self, features: Tensor) -> Tensor:
        """The nats."""
        tail = functional.relu(self._distances(features) - self._begins) * self._slope
        return tail + (features @ self._doubt)[:, 0]


class GraphConstants(dict[str, "torch.Tensor"]):
    """A scorer graph's constants by name."""

    @classmethod
    def of(cls, scorer: bytes) -> Self:
        """Read them."""
        graph = onnx.load_from_string(scorer).graph
        return cls({entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in graph.initializer})

    @property
    def has_distances(self) -> bool:
        """Whether there is a Gaussian among them."""
        return self.keys() >= set(CONSTANTS)

    @property
    def goes_beside_trees(self) -> bool:
        """Whether the Gaussian is the tail of the supervised scorer."""
        return self.has_distances and self.keys() >= {TAIL_BEGINS, TAIL_SLOPE, DOUBT_WEIGHTS}
