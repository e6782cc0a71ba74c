"""Natural scene statistics: adversarial noise shifts how locally normalised pixels are distributed.

Features of the quality measure BRISQUE (Mittal, Moorthy and Bovik, IEEE TIP 2012), fitted by moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import gamma
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from detector.evaluation.peers.base import attacked_images, in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import PeerData

_SIGMA = 7 / 6
_LEVELS = 255.0
_TINY = 1e-6
_SHAPES = np.arange(0.2, 10, 0.001)
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))  # rises with the shape


class SceneStatistics:
    """A support vector machine on the scene statistics of every channel, benign against attacked images.

    It never asks the classifier.

    Fitted attributes:
        machine_: A scikit-learn pipeline.
    """

    name = "scene-statistics"
    source = "Kherchouche et al. 2020, IJCNN, doi 10.1109/IJCNN48605.2020.9206959"
    needs_attacks = True
    forwards_per_image = 0.0

    def fit(self, data: PeerData) -> None:
        """Train the machine.

        Raises:
            CalibrationError: No attacked images.
        """
        attacked = attacked_images(data, self.name)
        features = np.concatenate([in_chunks(scene_statistics, part) for part in (data.images, attacked)])
        truth = np.arange(len(features)) >= len(data.images)
        self.machine_ = make_pipeline(StandardScaler(), SVC(class_weight="balanced")).fit(features, truth)

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Signed distance from the machine's boundary."""
        return in_chunks(lambda chunk: self.machine_.decision_function(scene_statistics(chunk)), images)


def scene_statistics(images: Float32Array) -> NDArray[np.float64]:
    """Eighteen numbers a channel: how the normalised pixels, and their products with four neighbours, are distributed.

    Args:
        images: float32 (N, channels, height, width), values in [0, 1].

    Returns:
        (N, 18 * channels).
    """
    pixels = normalised_pixels(images)
    shifted = (
        pixels[..., :, :-1] * pixels[..., :, 1:],
        pixels[..., :-1, :] * pixels[..., 1:, :],
        pixels[..., :-1, :-1] * pixels[..., 1:, 1:],
        pixels[..., 1:, :-1] * pixels[..., :-1, 1:],
    )
    parts = [*generalised_gaussian(pixels)]
    for product in shifted:
        parts += asymmetric_gaussian(product)
    return np.concatenate(parts, axis=1)


def normalised_pixels(images: Float32Array) -> NDArray[np.float64]:
    """Levels 0..255 less their local mean, over their local deviation plus one (MSCN coefficients)."""
    levels = images.astype(np.float64) * _LEVELS
    mean = _blurred(levels)
    deviation = np.sqrt(np.maximum(_blurred(levels**2) - mean**2, 0))
    return (levels - mean) / (deviation + 1)


def generalised_gaussian(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shape and variance of generalised Gaussians, fitted by moments over the last two axes: each (N, channels)."""
    variance = (values**2).mean(axis=(2, 3))
    ratio = np.abs(values).mean(axis=(2, 3)) ** 2 / np.maximum(variance, _TINY)
    return np.interp(ratio, _RATIOS, _SHAPES), variance


def asymmetric_gaussian(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Shape, mean, left and right variance of asymmetric generalised Gaussians, fitted likewise: each (N, channels)."""
    left, right = (_one_sided(values, side) for side in (values < 0, values > 0))
    skew = np.sqrt(np.maximum(left, _TINY) / np.maximum(right, _TINY))
    ratio = np.abs(values).mean(axis=(2, 3)) ** 2 / np.maximum((values**2).mean(axis=(2, 3)), _TINY)
    corrected = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = np.interp(corrected, _RATIOS, _SHAPES)
    mean = (np.sqrt(right) - np.sqrt(left)) * gamma(2 / shape) / np.sqrt(gamma(1 / shape) * gamma(3 / shape))
    return shape, mean, left, right


def _one_sided(values: NDArray[np.float64], side: NDArray[np.bool_]) -> NDArray[np.float64]:
    return (values**2 * side).sum(axis=(2, 3)) / np.maximum(side.sum(axis=(2, 3)), 1)


def _blurred(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(
        levels, sigma=(0, 0, _SIGMA, _SIGMA), radius=(0, 0, 3, 3), mode="nearest"
    )
    return blurred
