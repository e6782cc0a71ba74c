"""Kernel density: how many benign images of the predicted class lie near an image in the last hidden layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import KernelDensity, NearestNeighbors

from detector.errors import CalibrationError
from detector.evaluation.peers.activations import layer_activations, readable_layers
from detector.evaluation.peers.base import halves, in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_MIN_IMAGES = 40
_BANDWIDTHS = np.geomspace(0.1, 3, 12)  # times the median distance to the nearest neighbour
_TINY = 1e-12


class KernelDensityPeer:
    """Minus the log-density of an image among benign images of the class it is predicted as.

    A Gaussian kernel on the layer nearest the logits. The paper tunes the bandwidth by hand per data set; here it is
    the one that gives a held-out half of the benign images the highest likelihood.

    Fitted attributes:
        classifier_, hidden_: Where predictions and activations come from.
        densities_: Per class a fitted `KernelDensity`; a class without images has that of all images.
    """

    name = "kernel-density"
    source = "Feinman et al. 2017, arXiv 1703.00410"
    needs_attacks = False
    forwards_per_image = 2.0  # logits and activations are asked for apart

    def fit(self, data: PeerData) -> None:
        """Choose the bandwidth and keep the activations of the benign images.

        Raises:
            CalibrationError: Fewer than 40 benign images, or no hidden layer.
        """
        if len(data.images) < _MIN_IMAGES:
            raise CalibrationError(f"{self.name}: needs at least {_MIN_IMAGES} images, not {len(data.images)}")
        self.classifier_, self.hidden_ = data.classifier, readable_layers(data, self.name)
        layer = layer_activations(self.hidden_, data.images)[-1]
        bandwidth = _best_bandwidth(layer, data.labels, data.seed)
        rows = [data.labels == c for c in range(len(data.classifier.labels))]
        self.densities_ = tuple(
            KernelDensity(bandwidth=bandwidth).fit(layer[row] if row.any() else layer) for row in rows
        )

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Minus the log-density, in nats."""
        return in_chunks(self._chunk, images)

    def _chunk(self, images: Float32Array) -> NDArray[np.float64]:
        predicted = self.classifier_.logits(images).argmax(axis=1)
        layer = layer_activations(self.hidden_, images)[-1]
        scores = np.empty(len(images))
        for c in np.unique(predicted):
            rows = predicted == c
            scores[rows] = -self.densities_[c].score_samples(layer[rows])
        return scores


def _best_bandwidth(layer: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> float:
    """Of the candidates, the one by which class densities of one half make the other half likeliest."""
    kept, held_out = halves(len(layer), seed)
    distances = NearestNeighbors(n_neighbors=1).fit(layer).kneighbors()[0]
    scale = max(float(np.median(distances)), _TINY)
    classes = np.intersect1d(labels[kept], labels[held_out])

    def likelihood(bandwidth: float) -> float:
        densities = (KernelDensity(bandwidth=bandwidth).fit(layer[kept][labels[kept] == c]) for c in classes)
        return sum(d.score(layer[held_out][labels[held_out] == c]) for d, c in zip(densities, classes, strict=True))

    return max((float(factor) * scale for factor in _BANDWIDTHS), key=likelihood)
