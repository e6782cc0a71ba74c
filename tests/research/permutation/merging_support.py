"""Small networks to be merged, and images to do it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.research.permutation.classifiers import Networks
from detector.research.permutation.spec import permuted, random_permutations
from detector.training.data import LabelledImages
from tests.research.permutation.networks import mlp

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

SPEC = ImageSpec(height=8, width=8, channel_order=ChannelOrder.GRAY)
_RNG = np.random.default_rng(0)
IMAGES = LabelledImages(_RNG.random((60, 1, 8, 8), dtype=np.float32), _RNG.integers(0, 5, 60), classes=5)
OTHERS = LabelledImages(_RNG.random((40, 1, 8, 8), dtype=np.float32), _RNG.integers(0, 5, 40), classes=5)


def classifier(seed: int, builder: Callable[[], nn.Module] = lambda: mlp(12, 9)) -> TorchClassifier:
    """A network with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TorchClassifier(builder(), SPEC)


def different(count: int = 3, builder: Callable[[], nn.Module] = lambda: mlp(12, 9)) -> Networks:
    """Networks that have nothing in common."""
    seeds = range(count)
    return Networks.of([f"net-{seed}" for seed in seeds], [classifier(seed, builder) for seed in seeds])


def copies(builder: Callable[[], nn.Module] = lambda: mlp(12, 9), count: int = 3) -> Networks:
    """One network, and others that are it with their units in another order."""
    alone = different(2, builder)
    states = [alone.states[0]]
    states += [permuted(alone.spec, states[0], random_permutations(alone.spec, seed)) for seed in range(count - 1)]
    return Networks.of(
        [f"copy-{number}" for number in range(count)],
        [alone.classifier(state, name="copy") for state in states],
    )
