"""Subset scanning: are there hidden channels that are, together, more extreme than in any benign image?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import CalibrationError
from detector.evaluation.peers.activations import layer_activations, readable_layers
from detector.evaluation.peers.base import in_chunks
from detector.evaluation.peers.toolbox import toolbox_detectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_MIN_IMAGES = 20
_LAYER = "hidden"


class SubsetScanning:
    """The Berk-Jones statistic of the subset of channels whose empirical p-values are the most surprising.

    The toolbox scans one layer of one of its own estimators for large activations. It is given the pooled channels of
    all hidden layers as that layer, each with both signs, so that small activations count as well.

    Fitted attributes:
        detector_: The toolbox's, with its background of benign images.
    """

    name = "subset-scanning"
    source = "Speakman et al. 2018, arXiv 1810.08676; ART SubsetScanningDetector"
    needs_attacks = False
    forwards_per_image = 1.0

    def fit(self, data: PeerData) -> None:
        """Make the benign images the background.

        Raises:
            CalibrationError: Fewer than 20 images, or no hidden layer.
            MissingExtraError: The toolbox is not installed.
        """
        evasion = toolbox_detectors(self.name)
        if len(data.images) < _MIN_IMAGES:
            raise CalibrationError(f"{self.name}: needs at least {_MIN_IMAGES} images, not {len(data.images)}")
        # The scan stops at p-values of 1/2 and fails where none is below; with an odd background, one sign always is.
        background = data.images[: len(data.images) - (len(data.images) + 1) % 2]
        self.detector_ = evasion.SubsetScanningDetector(
            _Hidden(readable_layers(data, self.name)), background, _LAYER, verbose=False
        )

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """The Berk-Jones statistic, at least 0."""
        return in_chunks(lambda chunk: self.detector_.detect(chunk)[0]["scores"], images)


class _Hidden:
    """As much of a toolbox estimator as the scan asks for: one layer, and its activations."""

    layer_names = (_LAYER,)

    def __init__(self, hidden: Callable[[Float32Array], tuple[Float32Array, ...]]) -> None:
        self._hidden = hidden

    def get_activations(self, x: Float32Array, layer: str, batch_size: int, framework: object) -> NDArray[np.float64]:
        """Every channel of every hidden layer, then the same negated, (N, 2 * channels)."""
        del layer, batch_size, framework
        channels = np.concatenate(layer_activations(self._hidden, x), axis=1)
        return np.concatenate([channels, -channels], axis=1)
