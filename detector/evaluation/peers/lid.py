"""Local intrinsic dimensionality: around an adversarial image, benign activations fill more dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import NearestNeighbors

from detector.errors import CalibrationError
from detector.evaluation.peers.activations import benign_or_attacked, layer_activations, readable_layers
from detector.evaluation.peers.base import attacked_images, halves, in_chunks, originals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_TINY = 1e-12
_NOISE = 4 / 255


class LocalIntrinsicDimensionality:
    """Maximum-likelihood LID per layer, weighed by a logistic regression of benign and noisy against attacked images.

    As in the paper, neighbours are sought in minibatches of benign images; here these are drawn once, from half of the
    benign images, and an image's LID is its mean over them, so that it depends on no other image scored with it. The
    other half is what the regression learns benign images from, plain and with Gaussian noise. In the paper an attacked
    image has its own original among its neighbours; a deployed detector has not that, so originals are no references.

    Args:
        neighbours: k.
        minibatch: Images in a minibatch; fewer where there are not so many.
        minibatches: Most of them.

    Fitted attributes:
        hidden_: Where the activations come from.
        references_: Per layer, per minibatch, a fitted nearest-neighbour index.
        regression_: Weighs the layers.
    """

    name = "lid"
    source = "Ma et al. 2018, arXiv 1801.02613"
    needs_attacks = True
    forwards_per_image = 1.0

    def __init__(self, *, neighbours: int = 20, minibatch: int = 100, minibatches: int = 8) -> None:
        self.neighbours = neighbours
        self.minibatch = minibatch
        self.minibatches = minibatches

    def fit(self, data: PeerData) -> None:
        """Draw the minibatches and learn the weights of the layers.

        Raises:
            CalibrationError: No attacked images, no hidden layer, or too few benign ones for the neighbours.
        """
        attacked = attacked_images(data, self.name)
        references, learnt = halves(len(data.images), data.seed)
        if len(learnt) < self.neighbours:
            raise CalibrationError(f"{self.name}: needs at least {2 * self.neighbours} images, not {len(data.images)}")
        references = np.setdiff1d(references, originals(data.images, attacked))
        if len(references) < self.neighbours:
            raise CalibrationError(
                f"{self.name}: needs at least {self.neighbours} images that were not attacked among half of all, not "
                f"{len(references)}"
            )
        self.hidden_ = readable_layers(data, self.name)
        layers = layer_activations(self.hidden_, data.images[references])
        self.references_ = [self._indices(layer, data.seed) for layer in layers]
        plain = data.images[learnt]
        noise = np.random.default_rng(data.seed).normal(0, _NOISE, plain.shape).astype(np.float32)
        benign = np.concatenate([self._dimensions(plain), self._dimensions(np.clip(plain + noise, 0, 1))])
        self.regression_ = benign_or_attacked(benign, self._dimensions(attacked))

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Log-odds of being attacked."""
        return in_chunks(lambda chunk: self.regression_.decision_function(self._dimensions(chunk)), images)

    def _indices(self, layer: NDArray[np.float64], seed: int) -> list[NearestNeighbors]:
        size = min(self.minibatch, len(layer))
        order = np.random.default_rng(seed).permutation(len(layer))
        starts = range(0, len(layer) - size + 1, size)[: self.minibatches]
        return [NearestNeighbors(n_neighbors=self.neighbours).fit(layer[order[i : i + size]]) for i in starts]

    def _dimensions(self, images: Float32Array) -> NDArray[np.float64]:
        """(N, layers)."""
        layers = layer_activations(self.hidden_, images)
        return np.stack(
            [
                np.mean([dimension(index.kneighbors(layer)[0]) for index in indices], axis=0)
                for indices, layer in zip(self.references_, layers, strict=True)
            ],
            axis=1,
        )


def dimension(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maximum-likelihood estimate of the LID (the paper's equation 4): minus one over the mean of log(r_i / r_k).

    Args:
        distances: (N, k), to the k nearest neighbours, rising.

    Returns:
        (N,), positive and finite, also where neighbours coincide.
    """
    safe = np.maximum(distances, _TINY)
    return -1 / np.minimum(np.log(safe / safe[:, -1:]).mean(axis=1), -_TINY)
