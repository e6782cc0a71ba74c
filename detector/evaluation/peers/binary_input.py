"""A small CNN on pixels, trained to tell benign from attacked images: the toolbox's BinaryInputDetector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from detector.evaluation.peers.base import attacked_images, in_chunks, torch_seed
from detector.evaluation.peers.toolbox import toolbox_detectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_BATCH = 64
_WIDTH = 32
_RATE = 2e-3


class BinaryInput:
    """The toolbox trains a network with two outputs, benign and attacked; the score is their difference.

    The toolbox leaves the network to its user: here two strided convolutions, small enough for a CPU. The two sides
    weigh the same however many images each has. It never asks the classifier.

    Args:
        epochs: Of training, each over all benign and all attacked images.

    Fitted attributes:
        detector_: The toolbox's, fitted.
    """

    name = "binary-input"
    source = "Gong, Wang and Ku 2017, arXiv 1704.04960; ART BinaryInputDetector"
    needs_attacks = True
    forwards_per_image = 0.0

    def __init__(self, *, epochs: int = 20) -> None:
        self.epochs = epochs

    def fit(self, data: PeerData) -> None:
        """Train the network.

        Raises:
            CalibrationError: No attacked images.
            MissingExtraError: The toolbox is not installed.
        """
        evasion = toolbox_detectors(self.name)
        from art.estimators.classification import PyTorchClassifier

        attacked = attacked_images(data, self.name)
        sides = np.array([len(data.images), len(attacked)])
        with torch_seed(data.seed):
            network = _network(data.images.shape[1])
            estimator = PyTorchClassifier(
                model=network,
                loss=nn.CrossEntropyLoss(weight=torch.from_numpy(sides.sum() / (2 * sides)).float()),
                optimizer=torch.optim.Adam(network.parameters(), lr=_RATE),
                input_shape=data.images.shape[1:],
                nb_classes=2,
                clip_values=(0.0, 1.0),
                device_type="cpu",
            )
            self.detector_ = evasion.BinaryInputDetector(estimator)
            self.detector_.fit(
                np.concatenate([data.images, attacked]),
                np.repeat([0, 1], sides),
                batch_size=_BATCH,
                nb_epochs=self.epochs,
            )

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Log-odds of being attacked."""
        return in_chunks(self._chunk, images)

    def _chunk(self, images: Float32Array) -> Float32Array:
        report, _ = self.detector_.detect(images)
        benign, attacked = report["predictions"].T
        return attacked - benign


def _network(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, _WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * _WIDTH, 2),
    )
