"""A differentiable stand-in for the scorer: exact where the graph is a Mahalanobis distance, else distilled.

Boosted trees have no gradient, so the attacker trains a network to answer as they do, on profiles of his own images
(backward pass differentiable approximation: Athalye et al., arXiv 1802.00420, Sec. 4). It speaks of the logarithm of
the score, standardised: the score itself spans several orders of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from scipy.stats import rankdata
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from detector.classifiers.base import Float32Array

_WIDTH = 256
_BATCH = 128
_RATE = 2e-3
_HELD_OUT = 0.2
_MAHALANOBIS = ("Sub", "MatMul", "ReduceSumSquare")
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False)
class ScoredFeatures:
    """What the attacker learns the scorer from.

    Args:
        features: float32 (N, features).
        scores: float32 (N,), the scorer's own.
    """

    features: Float32Array
    scores: Float32Array

    def joined(self, other: ScoredFeatures) -> ScoredFeatures:
        """Both."""
        return ScoredFeatures(
            np.concatenate([self.features, other.features]), np.concatenate([self.scores, other.scores])
        )


@dataclass(frozen=True, eq=False)
class StandIn:
    """A scorer with gradients.

    Args:
        module: float32 (N, features) to (N,): the standardised logarithm of the score.
        fidelity: Spearman's correlation with the real scores on features it has not seen, -1..1.
        exact: Whether it is the scorer itself.
    """

    module: nn.Module
    fidelity: float
    exact: bool

    def score(self, features: Tensor) -> Tensor:
        """float32 (N,): rises with the score."""
        answer: Tensor = self.module(features)
        return answer


def stand_in(scorer: bytes, known: ScoredFeatures, *, epochs: int = 40, seed: int = 0) -> StandIn:
    """Make a stand-in.

    Args:
        scorer: The bundle's ONNX graph.
        known: Features and scores to learn from; a fifth is held out to measure the fidelity.
        epochs: Of training, where there is any.
        seed: Of the weights, the batches and what is held out.
    """
    order = np.random.default_rng(seed).permutation(len(known.scores))
    fitted, held_out = np.split(order, [len(order) - int(_HELD_OUT * len(order))])
    module = exact_module(scorer, known.scores)
    exact = module is not None
    module = module or _distilled(known.features[fitted], np.log1p(known.scores[fitted]), epochs, seed)
    with torch.no_grad():
        answers = module(torch.from_numpy(known.features[held_out])).numpy()
    return StandIn(module, _rank_correlation(answers, known.scores[held_out]), exact)


def exact_module(scorer: bytes, scores: Float32Array) -> nn.Module | None:
    """The scorer itself where its graph is that of `detector.scoring.one_class`; None where it is another.

    Args:
        scorer: ONNX graph.
        scores: Some of its scores, to standardise by.
    """
    graph = onnx.load_from_string(scorer).graph
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    if tuple(node.op_type for node in graph.node) != _MAHALANOBIS or len(constants) != len(_MAHALANOBIS) - 1:
        return None
    mean, whitening = (np.array(constants[node.input[1]]) for node in graph.node[:2])
    return _Mahalanobis(torch.from_numpy(mean), torch.from_numpy(whitening), np.log1p(scores))


class _Mahalanobis(nn.Module):
    def __init__(self, mean: Tensor, whitening: Tensor, targets: Float32Array) -> None:
        super().__init__()
        self._mean, self._whitening = mean, whitening
        self._centre, self._spread = float(targets.mean()), max(float(targets.std()), _LEAST_SPREAD)

    def forward(self, features: Tensor) -> Tensor:
        scores = ((features - self._mean) @ self._whitening).square().sum(1)
        return (torch.log1p(scores) - self._centre) / self._spread


class _Network(nn.Module):
    """Standardised features to the standardised target, by two hidden layers."""

    def __init__(self, features: Float32Array) -> None:
        super().__init__()
        self._mean = torch.from_numpy(features.mean(0))
        self._scale = torch.from_numpy(features.std(0)).clamp_min(_LEAST_SPREAD)
        self.layers = nn.Sequential(
            *(nn.Linear(features.shape[1], _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU()),
            nn.Linear(_WIDTH, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        # Far from all it has seen a network knows nothing: there, features are drawn in, smoothly.
        standardised = torch.asinh((features - self._mean) / self._scale)
        answer: Tensor = self.layers(standardised)[:, 0]
        return answer


def _distilled(features: Float32Array, targets: Float32Array, epochs: int, seed: int) -> nn.Module:
    wanted = torch.from_numpy((targets - targets.mean()) / max(float(targets.std()), _LEAST_SPREAD))
    given = torch.from_numpy(features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network(features)
        adam = torch.optim.Adam(network.parameters(), lr=_RATE)
        steps = epochs * -(-len(given) // _BATCH)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, _RATE, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(given)), _BATCH):
                adam.zero_grad()
                torch.autograd.backward(functional.smooth_l1_loss(network(given[rows]), wanted[rows]))
                adam.step()
                rate.step()
    return network.requires_grad_(requires_grad=False)


def _rank_correlation(first: Float32Array, second: Float32Array) -> float:
    """Spearman's; 0 where either is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
