"""A network that answers as a scorer does: what has gradients where nothing is known of the scorer's insides.

Backward pass differentiable approximation: Athalye et al., arXiv 1802.00420, Sec. 4.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from detector.training.kinds import OptimiserKind, ScheduleKind
from detector.training.plan import Optimiser, Schedule, TrainingPlan
from detector.training.trainer import Training, drawn

if TYPE_CHECKING:
    from torch import Tensor

    from detector.classifiers.base import Float32Array

EPOCHS = 40
_WIDTH = 256
_BATCH = 128
_RATE = 2e-3
_LEAST_SPREAD = 1e-6


class Network(nn.Module):
    """Features, float32 (N, features), to standardised targets, float32 (N,), by two hidden layers.

    Args:
        features: float32 (M, features), which say what is usual.
        targets: float32 (M,), likewise.
    """

    def __init__(self, features: Float32Array, targets: Float32Array) -> None:
        super().__init__()
        self._centre, self._spread = float(targets.mean()), max(float(targets.std()), _LEAST_SPREAD)
        self._mean = torch.from_numpy(features.mean(0))
        self._scale = torch.from_numpy(features.std(0)).clamp_min(_LEAST_SPREAD)
        self.layers = nn.Sequential(
            *(nn.Linear(features.shape[1], _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU()),
            nn.Linear(_WIDTH, 1),
        )

    def standardised(self, targets: Float32Array) -> Float32Array:
        """What it is to answer."""
        return ((targets - self._centre) / self._spread).astype(np.float32)

    def forward(self, features: Tensor) -> Tensor:
        """What it answers."""
        # Far from all it has seen a network knows nothing: there, features are drawn in, smoothly.
        usual = torch.asinh((features - self._mean) / self._scale)
        answer: Tensor = self.layers(usual)[:, 0]
        return answer


def distilled(
    features: Float32Array, targets: Float32Array, *, start: Network | None = None, epochs: int = EPOCHS, seed: int = 0
) -> Network:
    """Train a network.

    Args:
        features: float32 (N, features).
        targets: float32 (N,).
        start: Whose weights and scales to start from; stays as it is. None starts anew.
        epochs: Of training.
        seed: Of the weights and the batches.
    """
    network, generator = drawn(seed, lambda: Network(features, targets) if start is None else copy.deepcopy(start))
    network.requires_grad_(requires_grad=True)
    given, wanted = torch.from_numpy(features), torch.from_numpy(network.standardised(targets))
    plan = TrainingPlan(
        optimiser=Optimiser(kind=OptimiserKind.ADAM, learning_rate=_RATE),
        schedule=Schedule(kind=ScheduleKind.ONE_CYCLE),
        steps=epochs * -(-len(given) // _BATCH),
        batch=_BATCH,
    )
    Training(network, given, wanted, plan, generator, objective=functional.smooth_l1_loss).run()
    return network.requires_grad_(requires_grad=False)
