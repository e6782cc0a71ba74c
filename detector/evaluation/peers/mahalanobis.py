"""Mahalanobis distances of hidden layers to the nearest class, every layer a Gaussian per class with one covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf

from detector.errors import CalibrationError
from detector.evaluation.peers.activations import benign_or_attacked, layer_activations, readable_layers
from detector.evaluation.peers.base import attacked_images, halves, in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_MIN_IMAGES = 40
_RIDGE = 1e-9  # of the mean variance: a channel that never moves must not make the covariance singular
_TINY = 1e-12


@dataclass(frozen=True)
class ClassGaussians:
    """One Gaussian per class around its mean, all with the same covariance.

    Args:
        whitening: (channels, channels); its product with its transpose is the inverse covariance.
        means: (classes, channels), whitened.
    """

    whitening: NDArray[np.float64]
    means: NDArray[np.float64]

    @classmethod
    def fit(cls, activations: NDArray[np.float64], labels: NDArray[np.int64]) -> ClassGaussians:
        """Class means, and the Ledoit-Wolf covariance of what remains; classes without an image are left out.

        Args:
            activations: (N, channels).
            labels: (N,).
        """
        classes, rows = np.unique(labels, return_inverse=True)
        means = np.stack([activations[rows == c].mean(axis=0) for c in range(len(classes))])
        covariance = LedoitWolf(assume_centered=True).fit(activations - means[rows]).covariance_
        ridge = _RIDGE * np.trace(covariance) / len(covariance) + _TINY
        whitening = np.linalg.cholesky(np.linalg.inv(covariance + ridge * np.eye(len(covariance))))
        return cls(whitening, means @ whitening)

    def distances(self, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared Mahalanobis distance of (N, channels) to the nearest class mean, (N,)."""
        nearest: NDArray[np.float64] = cdist(activations @ self.whitening, self.means, "sqeuclidean").min(axis=1)
        return nearest


class Mahalanobis:
    """Distances per layer, added up after standardisation or weighed by a logistic regression.

    Half of the benign images make the Gaussians, the other half show what distances benign images have. The paper's
    input preprocessing, which needs gradients, is left out, so that scoring takes one forward.

    Args:
        supervised: Whether attacked images decide the weights of the layers, as in the paper.

    Fitted attributes:
        hidden_: Where the activations come from.
        gaussians_: One `ClassGaussians` per layer.
        centre_, spread_: (layers,) mean and standard deviation of benign distances (unsupervised).
        regression_: Weighs the layers (supervised).
    """

    source = "Lee et al. 2018, arXiv 1807.03888"
    forwards_per_image = 1.0

    def __init__(self, *, supervised: bool = False) -> None:
        self.needs_attacks = supervised
        self.name = "mahalanobis-supervised" if supervised else "mahalanobis"

    def fit(self, data: PeerData) -> None:
        """Fit the Gaussians, then the weights of the layers.

        Raises:
            CalibrationError: Fewer than 40 benign images, no hidden layer, or no attacked images where they are needed.
        """
        attacked = attacked_images(data, self.name) if self.needs_attacks else None
        if len(data.images) < _MIN_IMAGES:
            raise CalibrationError(f"{self.name}: needs at least {_MIN_IMAGES} images, not {len(data.images)}")
        self.hidden_ = readable_layers(data, self.name)
        shaping, weighing = halves(len(data.images), data.seed)
        layers = layer_activations(self.hidden_, data.images[shaping])
        self.gaussians_ = tuple(ClassGaussians.fit(layer, data.labels[shaping]) for layer in layers)
        benign = self._distances(data.images[weighing])
        if attacked is not None:
            self.regression_ = benign_or_attacked(benign, self._distances(attacked))
        else:
            self.centre_, self.spread_ = benign.mean(axis=0), np.maximum(benign.std(axis=0), _TINY)

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Sum of the standardised distances, or the log-odds of being attacked."""
        return in_chunks(self._chunk, images)

    def _chunk(self, images: Float32Array) -> NDArray[np.float64]:
        distances = self._distances(images)
        if self.needs_attacks:
            return np.asarray(self.regression_.decision_function(distances))
        return ((distances - self.centre_) / self.spread_).sum(axis=1)

    def _distances(self, images: Float32Array) -> NDArray[np.float64]:
        """(N, layers)."""
        layers = layer_activations(self.hidden_, images)
        return np.stack([g.distances(layer) for g, layer in zip(self.gaussians_, layers, strict=True)], axis=1)
