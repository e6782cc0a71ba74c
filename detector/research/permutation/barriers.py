"""Barriers between networks: how much worse than its corners a mixture of their weights is (Sharma et al., Sec. 2).

For networks with weights w_i and a mixture of shares s_i the barrier is ``E(sum s_i w_i) - sum s_i E(w_i)``, for E the
mean cross-entropy or the error; on a line between two networks its maximum is what is called their barrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from detector.errors import AnalysisError
from detector.research.permutation.normalisation import has_statistics, restated
from detector.research.permutation.spec import interpolated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.program import Program, State
    from detector.training.data import LabelledImages

_LEAST_POINTS = 2
BATCH: Final = 500


@dataclass(frozen=True, eq=False)
class Barrier:
    """What mixtures of networks lose.

    Args:
        shares: float64 (T, networks): of each network in each mixture.
        losses: float64 (T,): mean cross-entropy of each mixture, nats.
        errors: float64 (T,): share of images that each mixture gets wrong, 0..1.
        corners: float64 (networks, 2): loss and error of each network by itself.
    """

    shares: NDArray[np.float64]
    losses: NDArray[np.float64]
    errors: NDArray[np.float64]
    corners: NDArray[np.float64]

    @property
    def loss(self) -> float:
        """The loss barrier: the most by which a mixture's loss passes its share of the corners', nats."""
        return float((self.losses - self.shares @ self.corners[:, 0]).max())

    @property
    def error(self) -> float:
        """The error barrier, likewise, 0..1."""
        return float((self.errors - self.shares @ self.corners[:, 1]).max())


def line(points: int) -> NDArray[np.float64]:
    """Shares of two networks on an even grid of a line, both ends included: (points, 2).

    Raises:
        AnalysisError: Fewer points than 2.
    """
    if points < _LEAST_POINTS:
        raise AnalysisError(f"points must be at least {_LEAST_POINTS}, not {points}")
    along = np.linspace(0, 1, points)
    return np.stack([1 - along, along], axis=1)


def simplex(networks: int, points: int, seed: int) -> NDArray[np.float64]:
    """Shares of several networks: each by itself, all in equal parts, and `points` drawn evenly: (T, networks)."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(networks), points)
    return np.concatenate([np.eye(networks), np.full((1, networks), 1 / networks), drawn])


def barrier(
    program: Program,
    states: Sequence[State],
    shares: NDArray[np.float64],
    data: LabelledImages,
    *,
    statistics: LabelledImages | None = None,
    batch: int = BATCH,
    on_progress: Callable[[int], None] | None = None,
) -> Barrier:
    """Measure mixtures of networks.

    Args:
        program: Their architecture.
        states: The networks; align them first.
        shares: float64 (T, networks), rows that sum to 1: see `line` and `simplex`.
        data: What they are measured on.
        statistics: What batch norms of mixtures are measured anew on; None leaves them the mixture of theirs. The
            networks by themselves keep their own.
        batch: Images that are run at once.
        on_progress: Told the number of mixtures done since it was told last.

    Raises:
        AnalysisError: Shares are not of these networks, or do not sum to 1.
    """
    if shares.shape[1:] != (len(states),) or not np.allclose(shares.sum(1), 1):
        raise AnalysisError(f"shares: rows of {len(states)} shares that sum to 1 are needed")
    corners = [loss_and_error(program, state, data, batch) for state in states]
    measured = []
    for row in shares:
        alone = np.flatnonzero(row == 1)
        if len(alone):
            measured.append(corners[alone[0]])
        else:
            mixture = interpolated(states, row.tolist())
            if statistics is not None and has_statistics(program):
                mixture = restated(program, mixture, statistics.batches(batch))
            measured.append(loss_and_error(program, mixture, data, batch))
        if on_progress:
            on_progress(1)
    values = np.array(measured)
    return Barrier(shares, values[:, 0], values[:, 1], np.array(corners))


def loss_and_error(program: Program, state: State, data: LabelledImages, batch: int = BATCH) -> tuple[float, float]:
    """Mean cross-entropy, nats, and share of wrong answers of one network, on images `batch` at a time."""
    _, labels = data.tensors()
    with torch.no_grad():
        logits = torch.cat([program.logits(images, state) for images in data.batches(batch)])
    return float(torch.nn.functional.cross_entropy(logits, labels)), float((logits.argmax(1) != labels).double().mean())
