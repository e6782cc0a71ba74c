"""Noise consistency: small noise turns an adversarial image back; a benign one stays what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation.peers.base import in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_FEW = 10  # a predicted class with fewer benign images takes the statistics of all
_TINY = 1e-6


class NoiseConsistency:
    """How far Gaussian noise moves an image towards its most favoured other class, against what it does to benign ones.

    For an image predicted y, and every other class z, the change of ``logit z - logit y`` averaged over the noises is
    standardised by its mean and deviation over benign images predicted y (the paper's equations 5 to 7); the score is
    the largest. One noise level instead of the paper's mixture; the same noises for every image.

    Args:
        draws: Noises.
        deviation: Their standard deviation, pixels in [0, 1].

    Fitted attributes:
        classifier_: Whose logits are read.
        noises_: float32 (draws, channels, height, width).
        centre_, spread_: (classes, classes), by predicted and by other class.
    """

    name = "noise-consistency"
    source = "Roth, Kilcher and Hofmann 2019, arXiv 1902.04818"
    needs_attacks = False

    def __init__(self, *, draws: int = 8, deviation: float = 8 / 255) -> None:
        self.draws = draws
        self.deviation = deviation

    @property
    def forwards_per_image(self) -> float:
        """The image, and once per noise."""
        return 1.0 + self.draws

    def fit(self, data: PeerData) -> None:
        """Draw the noises and learn what they do to benign images."""
        shape = (self.draws, *data.images.shape[1:])
        self.noises_ = np.random.default_rng(data.seed).normal(0, self.deviation, shape).astype(np.float32)
        self.classifier_ = data.classifier
        answers = in_chunks(self._changes, data.images, copies=2)
        predicted, changes = answers[:, 0].astype(np.int64), answers[:, 1:]
        of_class = predicted[:, None] == np.arange(changes.shape[1])
        everyone = _statistics(changes, ~of_class)
        own = [
            _statistics(changes[rows], np.ones_like(of_class[rows])) if rows.sum() >= _FEW else everyone
            for rows in of_class.T
        ]
        self.centre_ = np.stack([centre for centre, _ in own])
        self.spread_ = np.stack([spread for _, spread in own])

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Largest standardised change, in standard deviations."""
        return in_chunks(self._standardised, images, copies=2)

    def _standardised(self, images: Float32Array) -> NDArray[np.float64]:
        answers = self._changes(images)
        predicted = answers[:, 0].astype(np.int64)
        standardised = (answers[:, 1:] - self.centre_[predicted]) / self.spread_[predicted]
        standardised[np.arange(len(images)), predicted] = -np.inf
        return standardised.max(axis=1)

    def _changes(self, images: Float32Array) -> NDArray[np.float64]:
        """(N, 1 + classes): the predicted class y, then for every class the mean change of its logit less y's."""
        logits = self.classifier_.logits(images).astype(np.float64)
        noisy = sum(self.classifier_.logits(np.clip(images + noise, 0, 1)) for noise in self.noises_) / self.draws
        predicted = logits.argmax(axis=1)[:, None]
        moved = noisy - logits
        return np.concatenate([predicted, moved - np.take_along_axis(moved, predicted, axis=1)], axis=1)


def _statistics(
    changes: NDArray[np.float32], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column over the rows counted there, (classes,)."""
    number = np.maximum(counted.sum(axis=0), 1)
    centre = np.sum(changes, axis=0, where=counted, dtype=np.float64) / number
    variance = np.sum((changes - centre) ** 2, axis=0, where=counted) / number
    return centre, np.maximum(np.sqrt(variance), _TINY)
