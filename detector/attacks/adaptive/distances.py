"""The scorers' parts that are no trees in torch, read from their own graph: exact, and differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from detector.scoring import linear
from detector.scoring.gaussian import CONSTANTS
from detector.scoring.supervised import DOUBT_WEIGHTS, LINEAR, PROFILE_TAIL, RESIDUAL_TAIL
from detector.scoring.tail import BEGINS, COLUMNS, SLOPE

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-12  # of a distance, whose logarithm is taken


class Distances(nn.Module):
    """float32 (N, features) to (N,): the logarithm of the distance from benign profiles.

    Args:
        constants: Of a graph that `detector.scoring.gaussian.Gaussian` wrote, by name.
        prefix: Of its names.
    """

    def __init__(self, constants: dict[str, Tensor], prefix: str = "") -> None:
        super().__init__()
        self._constants = [constants[prefix + name] for name in CONSTANTS]

    def forward(self, features: Tensor) -> Tensor:
        """Logarithms of the distances."""
        mean, inverse_scale, directions, back, weights, rest_weight = self._constants
        standardised = (features - mean) * inverse_scale
        along = standardised @ directions
        rest = (standardised - along @ back) * rest_weight
        return torch.log(((along * weights).square().sum(1) + rest.square().sum(1)).clamp_min(_LEAST))


class _Tail(nn.Module):
    """float32 (N, features) to (N,): a tail of the supervised scorer, nats."""

    def __init__(self, constants: dict[str, Tensor], prefix: str) -> None:
        super().__init__()
        self._distances = Distances(constants, prefix)
        self._columns, self._begins, self._slope = (constants[prefix + name] for name in (COLUMNS, BEGINS, SLOPE))

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self._distances(features[:, self._columns]) - self._begins) * self._slope


class _Linear(nn.Module):
    """float32 (N, features) to (N,): log-odds of the supervised scorer's weighted sum."""

    def __init__(self, constants: dict[str, Tensor]) -> None:
        super().__init__()
        self._constants = [constants[LINEAR + name] for name in linear.CONSTANTS]

    def forward(self, features: Tensor) -> Tensor:
        mean, inverse_scale, weights, bias = self._constants
        log_odds: Tensor = (((features - mean) * inverse_scale) @ weights)[:, 0] + bias
        return log_odds


class BesideTrees(nn.Module):
    """What the supervised scorer has beside its trees: a weighted sum, tails and doubt.

    Args:
        constants: Of the graph of `detector.scoring.supervised`, by name.
    """

    def __init__(self, constants: GraphConstants) -> None:
        super().__init__()
        self._tails = nn.ModuleList(_Tail(constants, prefix) for prefix in constants.tails)
        self._doubt = constants[DOUBT_WEIGHTS]
        self._linear = _Linear(constants) if constants.has_linear else None

    def log_odds(self, of_trees: Tensor, features: Tensor) -> Tensor:
        """float32 (N,): those of the trees (N,) and of the weighted sum of features (N, features) together."""
        return of_trees if self._linear is None else (of_trees + self._linear(features)) / 2

    def forward(self, features: Tensor) -> Tensor:
        """float32 (N, features) to (N,): what tails and doubt add, nats."""
        added = (features @ self._doubt)[:, 0]
        for tail in self._tails:
            added = added + tail(features)
        return added


class GraphConstants(dict[str, "torch.Tensor"]):
    """A scorer graph's constants by name."""

    @classmethod
    def of(cls, scorer: bytes) -> Self:
        """Read them."""
        graph = onnx.load_from_string(scorer).graph
        return cls({entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in graph.initializer})

    @property
    def has_distances(self) -> bool:
        """Whether there is a Gaussian among them that is no tail."""
        return self.keys() >= set(CONSTANTS)

    @property
    def tails(self) -> tuple[str, ...]:
        """Prefixes of the supervised scorer's tails among them."""
        return tuple(prefix for prefix in (PROFILE_TAIL, RESIDUAL_TAIL) if prefix + BEGINS in self)

    @property
    def has_linear(self) -> bool:
        """Whether there is the supervised scorer's weighted sum among them; earlier versions wrote none."""
        return all(LINEAR + name in self for name in linear.CONSTANTS)

    @property
    def goes_beside_trees(self) -> bool:
        """Whether they are of the supervised scorer."""
        return bool(self.tails) and DOUBT_WEIGHTS in self
