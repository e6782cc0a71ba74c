"""What the classifier's own answer says about itself: the baselines every detector has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from detector.evaluation.peers.base import in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData


class MaxSoftmax:
    """One minus the largest softmax probability.

    Fitted attributes:
        classifier_: Whose answers are read.
    """

    name = "max-softmax"
    source = "Hendrycks and Gimpel 2017, arXiv 1610.02136"
    needs_attacks = False
    forwards_per_image = 1.0

    def fit(self, data: PeerData) -> None:
        """Keep the classifier; nothing is learnt."""
        self.classifier_ = data.classifier

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """The probability of all classes but the predicted one, 0..1."""
        return in_chunks(lambda chunk: other_classes(self.classifier_.logits(chunk)), images)


class Margin:
    """Minus the margin between the two largest logits; unlike the softmax, it does not saturate.

    Fitted attributes:
        classifier_: Whose answers are read.
    """

    name = "margin"
    source = "logit margin; Hendrycks et al. 2022, arXiv 1911.11132, for the logits instead of the softmax"
    needs_attacks = False
    forwards_per_image = 1.0

    def fit(self, data: PeerData) -> None:
        """Keep the classifier; nothing is learnt."""
        self.classifier_ = data.classifier

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Second-largest logit minus the largest, at most 0."""
        return in_chunks(lambda chunk: _minus_margin(self.classifier_.logits(chunk)), images)


def other_classes(logits: Float32Array) -> NDArray[np.float64]:
    """1 - max softmax of (N, classes) logits, summed from the small end: ordered even where the maximum rounds to 1."""
    probabilities = np.sort(softmax(logits.astype(np.float64), axis=1), axis=1)
    return probabilities[:, :-1].sum(axis=1)


def _minus_margin(logits: Float32Array) -> Float32Array:
    largest = np.partition(logits, -2, axis=1)
    return largest[:, -2] - largest[:, -1]
