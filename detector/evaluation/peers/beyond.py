"""BEYOND's neighbourhood test: does an image keep its label and its representation when cropped and recoloured?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from detector.classifiers.torchvision_compat import mend_torchvision
from detector.evaluation.peers.activations import layer_activations, readable_layers
from detector.evaluation.peers.base import in_chunks, torch_seed
from detector.evaluation.peers.toolbox import toolbox_detectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_ITERATIONS = 1000


class BeyondOwnFeatures:
    """BEYOND with the guarded classifier's own features in the place of a self-supervised model's.

    The paper's detector rests on a second, self-supervised network, which this project has not; so this shows what its
    test is worth without one, and is *not* the published detector. The representation is the layer nearest the logits,
    standardised; the label is a logistic regression's on it. Neighbours are made as for SimSiam: crops, mirror
    images, changed colours and grey. An image's neighbours are the same in any company.

    Args:
        neighbours: Augmented versions of an image.
        nearest: The similarity to this many-th most similar one is the score.

    Fitted attributes:
        detector_: The toolbox's.
        seed_: Of the augmentations.
    """

    name = "beyond-own-features"
    source = "He et al. 2024, arXiv 2209.00005; ART BeyondDetectorPyTorch"
    needs_attacks = False

    def __init__(self, *, neighbours: int = 50, nearest: int = 20) -> None:
        self.neighbours = neighbours
        self.nearest = nearest

    @property
    def forwards_per_image(self) -> float:
        """The image, and once per neighbour."""
        return 1.0 + self.neighbours

    def fit(self, data: PeerData) -> None:
        """Fit the label's regression; the toolbox's own fit finds only a threshold, which a score does not need.

        Raises:
            CalibrationError: No hidden layer.
            MissingExtraError: The toolbox is not installed.
        """
        evasion = toolbox_detectors(self.name)
        self.seed_ = data.seed
        model = SimpleNamespace(model=_OwnFeatures(data, self.name))
        self.detector_ = evasion.BeyondDetectorPyTorch(
            target_classifier=model,
            ssl_classifier=model,
            augmentations=_augmentations(data.images.shape[2:]),
            aug_num=self.neighbours,
            var_K=self.nearest,
        )

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Minus the similarity, about -1..1."""
        return in_chunks(self._chunk, images, copies=1 + self.neighbours)

    def _chunk(self, images: Float32Array) -> Float32Array:
        # The transforms draw once for a whole batch, so seeding each batch gives every image the same neighbours.
        with torch_seed(self.seed_):
            self.detector_.threshold = 0.0  # of its yes or no, which is not read
            similarities, _ = self.detector_.detect(images, batch_size=len(images))
        return -similarities


class _OwnFeatures(nn.Module):
    """What the toolbox wants of a self-supervised model: a backbone, and two heads on it."""

    def __init__(self, data: PeerData, peer: str) -> None:
        super().__init__()
        hidden = readable_layers(data, peer)
        scaler = StandardScaler()
        features = scaler.fit_transform(layer_activations(hidden, data.images)[-1])
        regression = LogisticRegression(max_iter=_ITERATIONS).fit(features, data.labels)
        self.backbone = _Function(lambda images: scaler.transform(hidden(images)[-1].astype(np.float64)))
        self.classifier = _Function(regression.predict_proba)
        self.projector = nn.Identity()


class _Function(nn.Module):
    """A function of arrays as a module."""

    def __init__(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        super().__init__()
        self._function = function

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self._function(values.cpu().numpy()), np.float32)).to(values.device)


def _augmentations(size: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """SimSiam's for small images (Chen and He, arXiv 2011.10566, appendix D), without blur."""
    mend_torchvision()
    from torchvision import transforms

    composed: Callable[[torch.Tensor], torch.Tensor] = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0), antialias=True),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
        ]
    )
    return composed
