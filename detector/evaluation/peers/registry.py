"""All peers that can run here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from detector.evaluation.peers.beyond import BeyondOwnFeatures
from detector.evaluation.peers.binary_input import BinaryInput
from detector.evaluation.peers.confidence import Margin, MaxSoftmax
from detector.evaluation.peers.density import KernelDensityPeer
from detector.evaluation.peers.lid import LocalIntrinsicDimensionality
from detector.evaluation.peers.mahalanobis import Mahalanobis
from detector.evaluation.peers.noise import NoiseConsistency
from detector.evaluation.peers.scene_statistics import SceneStatistics
from detector.evaluation.peers.squeezing import FeatureSqueezing
from detector.evaluation.peers.subset_scanning import SubsetScanning
from detector.evaluation.peers.toolbox import toolbox_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.evaluation.peers.base import Peer

    PeerFactory = Callable[[], Peer]

_OURS: tuple[PeerFactory, ...] = (
    MaxSoftmax,
    Margin,
    NoiseConsistency,
    Mahalanobis,
    partial(Mahalanobis, supervised=True),
    LocalIntrinsicDimensionality,
    KernelDensityPeer,
    SceneStatistics,
)
_TOOLBOX: tuple[PeerFactory, ...] = (FeatureSqueezing, BinaryInput, SubsetScanning, BeyondOwnFeatures)


def available_peers() -> tuple[PeerFactory, ...]:
    """Everything that makes a peer with its published or default options, unfitted; all names differ.

    Peers that need the Adversarial Robustness Toolbox are left out where it is not installed.
    """
    return _OURS + _TOOLBOX if toolbox_installed() else _OURS


def peers_without_attacks() -> tuple[PeerFactory, ...]:
    """Those of `available_peers` that learn from benign images alone."""
    return tuple(make for make in available_peers() if not make().needs_attacks)
