"""Feature squeezing: an adversarial perturbation does not survive when an image is made coarser; its content does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from detector.errors import MissingExtraError
from detector.evaluation.peers.base import in_chunks
from detector.evaluation.peers.non_local_means import non_local_means

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

    Squeezer = Callable[[Float32Array], Float32Array]

_SQUEEZERS = 3
_THUMBNAIL = 64  # pixels; images as small as CIFAR-10's are smoothed as the paper smooths those


class FeatureSqueezing:
    """The largest L1 distance between the softmax of an image and those of its squeezed versions, 0..2.

    The squeezers are those the paper found best together on colour photographs (section V, joint detection): fewer bits
    per channel and a median filter, both by the Adversarial Robustness Toolbox, and non-local means, "13-3-2" for small
    images (CIFAR-10) and "11-3-4" for large ones (ImageNet).

    Args:
        bits: Bits per channel.
        window: Side of the median filter's window, pixels.

    Fitted attributes:
        classifier_: Whose answers are compared.
        squeezers_: Images to squeezed images.
    """

    name = "feature-squeezing"
    source = "Xu, Evans and Qi 2018, arXiv 1704.01155"
    needs_attacks = False
    forwards_per_image = 1.0 + _SQUEEZERS

    def __init__(self, *, bits: int = 5, window: int = 2) -> None:
        self.bits = bits
        self.window = window

    def fit(self, data: PeerData) -> None:
        """Keep the classifier; nothing is learnt.

        Raises:
            MissingExtraError: The Adversarial Robustness Toolbox is not installed.
        """
        self.classifier_ = data.classifier
        smoothing = _smoothing(min(data.images.shape[2:]))
        self.squeezers_ = (*_library_squeezers(self.bits, self.window), smoothing)

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Largest L1 distance over the squeezers."""
        return in_chunks(self._distances, images, copies=2)

    def _distances(self, images: Float32Array) -> NDArray[np.float64]:
        original = self._probabilities(images)
        squeezed = [self._probabilities(squeeze(images)) for squeeze in self.squeezers_]
        return np.max([np.abs(original - answer).sum(axis=1) for answer in squeezed], axis=0)

    def _probabilities(self, images: Float32Array) -> NDArray[np.float64]:
        return softmax(self.classifier_.logits(images).astype(np.float64), axis=1)


def _smoothing(side: int) -> Squeezer:
    return partial(non_local_means, search=13, strength=2 / 255) if side <= _THUMBNAIL else non_local_means


def _library_squeezers(bits: int, window: int) -> tuple[Squeezer, Squeezer]:
    try:
        from art.defences import preprocessor
    except ImportError as error:
        raise MissingExtraError(
            "adversarial-robustness-toolbox", extra="attacks", purpose=FeatureSqueezing.name
        ) from error
    depth = preprocessor.FeatureSqueezing(clip_values=(0.0, 1.0), bit_depth=bits)
    median = preprocessor.SpatialSmoothing(window_size=window, channels_first=True, clip_values=(0.0, 1.0))
    return (
        lambda images: np.asarray(depth(images)[0], np.float32),
        lambda images: np.asarray(median(images)[0], np.float32),
    )
