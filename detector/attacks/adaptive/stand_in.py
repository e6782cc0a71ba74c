"""A differentiable stand-in for the scorer.

Exact where the scorer's graph is a distance alone; soft where it has boosted trees; else a network that has learnt
to answer as the scorer does. All speak in standard deviations of the score's logarithm: the score itself spans several
orders of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn
from torch.nn import functional

from detector.attacks.adaptive.distances import BesideTrees, Distances, GraphConstants
from detector.attacks.adaptive.distilling import EPOCHS, Network, distilled
from detector.attacks.adaptive.soft_trees import SoftTrees, tree_node_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array

_HELD_OUT = 0.2
_FIRST_WIDTH, _LATER_WIDTH = 0.4, 0.15  # of soft branches: wide ones see far, narrow ones see right
_LEAST_SPREAD = 1e-6
_LEAST_SCALE = 1e-3
_ENOUGH = 512  # rows to standardise by


@dataclass(frozen=True, eq=False)
class ScoredFeatures:
    """What the attacker learns the scorer from.

    Args:
        features: float32 (N, features).
        scores: float32 (N,), the scorer's own.
    """

    features: Float32Array
    scores: Float32Array

    @classmethod
    def of(cls, parts: Sequence[ScoredFeatures]) -> Self:
        """All of them, one at least."""
        return cls(np.concatenate([p.features for p in parts]), np.concatenate([p.scores for p in parts]))

    def take(self, rows: NDArray[np.bool_] | slice) -> ScoredFeatures:
        """Some of them."""
        return ScoredFeatures(self.features[rows], self.scores[rows])


@dataclass(frozen=True, eq=False)
class StandIn:
    """A scorer with gradients.

    Args:
        module: float32 (N, features) to (N,), in standard deviations.
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


def stand_in(scorer: bytes, known: ScoredFeatures, *, seed: int = 0) -> StandIn:
    """Make a stand-in.

    Args:
        scorer: The bundle's ONNX graph.
        known: Features and scores to learn from, or to standardise by; a fifth is held out to measure the fidelity.
        seed: Of what is held out and what is learnt.
    """
    if (module := exact_module(scorer, known)) is not None:
        return _measured(module, known, seed, exact=True)
    if (module := soft_module(scorer, known, _FIRST_WIDTH)) is not None:
        return _measured(module, known, seed)
    fitted = known.take(~_held_out(known, seed))
    return _measured(distilled(fitted.features, np.log1p(fitted.scores), seed=seed), known, seed)


def improved(old: StandIn, scorer: bytes, known: ScoredFeatures, *, seed: int = 0) -> StandIn:
    """A better one for an attack that is under way: a network that has learnt more, or trees that are less soft.

    Args:
        old: One that was made from the first of `known` and the same seed; stays as it is.
        scorer: As for `stand_in`.
        known: As for `stand_in`, with more behind.
        seed: As for `stand_in`.
    """
    if isinstance(old.module, Network):
        fitted = known.take(~_held_out(known, seed))
        targets = np.log1p(fitted.scores)
        module = distilled(fitted.features, targets, start=old.module, epochs=EPOCHS // 4, seed=seed)
        return _measured(module, known, seed)
    sharper = soft_module(scorer, known, _LATER_WIDTH)
    return old if sharper is None else _measured(sharper, known, seed)


def _measured(module: nn.Module, known: ScoredFeatures, seed: int, *, exact: bool = False) -> StandIn:
    unseen = known.take(_held_out(known, seed))
    with torch.no_grad():
        answers = module(torch.from_numpy(unseen.features)).numpy()
    return StandIn(module, _rank_correlation(answers, unseen.scores), exact)


def _held_out(known: ScoredFeatures, seed: int) -> NDArray[np.bool_]:
    """Which rows no stand-in learns from; they stay the same as more are known."""
    return np.random.default_rng(seed).random(len(known.scores)) < _HELD_OUT


def exact_module(scorer: bytes, known: ScoredFeatures) -> nn.Module | None:
    """The scorer itself where its graph is that of `detector.scoring.one_class`; None where it is another.

    Args:
        scorer: ONNX graph.
        known: To standardise by.
    """
    constants = GraphConstants.of(scorer)
    if not constants.has_distances or tree_node_of(scorer) is not None:
        return None
    return _Standardised(Distances(constants), known)


def soft_module(scorer: bytes, known: ScoredFeatures, width: float) -> nn.Module | None:
    """Soft trees where the graph is that of `detector.scoring.supervised`; None where it is another.

    Args:
        scorer: ONNX graph.
        known: To standardise by, scores and features.
        width: Of the branches, in standard deviations of the feature each reads.
    """
    node, constants = tree_node_of(scorer), GraphConstants.of(scorer)
    if node is None:
        return None
    trees = SoftTrees(node, known.features.std(0).clip(_LEAST_SCALE), width)
    return _Standardised(_LogScore(trees, BesideTrees(constants) if constants.goes_beside_trees else None), known)


class _Standardised(nn.Module):
    def __init__(self, module: nn.Module, known: ScoredFeatures) -> None:
        super().__init__()
        self.module = module
        with torch.no_grad():
            usual = module(torch.from_numpy(known.take(slice(None, None, -(-len(known.scores) // _ENOUGH))).features))
        self._centre, self._spread = float(usual.mean()), max(float(usual.std()), _LEAST_SPREAD)

    def forward(self, features: Tensor) -> Tensor:
        answer: Tensor = (self.module(features) - self._centre) / self._spread
        return answer


class _LogScore(nn.Module):
    """The logarithm of soft trees' score and of what is exact beside them: where one is far above, it alone counts."""

    def __init__(self, trees: SoftTrees, beside: BesideTrees | None) -> None:
        super().__init__()
        self.trees, self.beside = trees, beside

    def forward(self, features: Tensor) -> Tensor:
        log_odds = self.trees(features)
        if self.beside is None:
            score = functional.softplus(log_odds)
        else:
            score = functional.softplus(self.beside.log_odds(log_odds, features)) + self.beside(features)
        return torch.log(score.clamp_min(torch.finfo(score.dtype).tiny))


def _rank_correlation(first: Float32Array, second: Float32Array) -> float:
    """Spearman's; 0 where either is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
