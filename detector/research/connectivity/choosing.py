"""Which inputs a study joins: images the classifier gets right, in pairs or larger groups of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.images import to_canonical
from detector.paths.pairing import Pairs, class_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Float32Array


def correct_images(inputs: CalibrationInputs) -> tuple[Float32Array, NDArray[np.int64]]:
    """The images that are classified correctly, canonical, and their labels.

    Raises:
        AnalysisError: There are no labels, or none is right.
    """
    if inputs.images.labels is None:
        raise AnalysisError("images: paths within a class need labelled images")
    images = to_canonical(inputs.images.pixels, inputs.loaded.classifier.spec.shape)
    labels = np.asarray(inputs.images.labels, np.int64)
    right = inputs.loaded.classifier.logits(images).argmax(axis=1) == labels
    if not right.any():
        raise AnalysisError("images: none is classified correctly")
    return images[right], labels[right]


def real_pairs(images: Float32Array, labels: NDArray[np.int64], *, seed: int, most: int | None = None) -> Pairs:
    """Pairs of images of one class, none of them twice, in random order.

    Args:
        images: float32 (N, C, H, W), canonical, classified correctly: see `correct_images`.
        labels: int64 (N,).
        seed: Of the pairing.
        most: Pairs; None for all.

    Raises:
        AnalysisError: No class has two images that are classified correctly.
    """
    rows = np.random.default_rng(seed).permutation(class_pairs(labels, seed, same=True))[:most]
    if not len(rows):
        raise AnalysisError("images: no class has two that are classified correctly")
    return Pairs(images[rows[:, 0]], images[rows[:, 1]], labels[rows[:, 0]])


def groups_of_class(labels: NDArray[np.int64], size: int, *, seed: int, most: int | None = None) -> NDArray[np.int64]:
    """Groups of images of one class, none of them twice.

    Args:
        labels: int64 (N,).
        size: Images of a group.
        seed: Of the grouping.
        most: Groups; None for all.

    Returns:
        int64 (G, size), rows of `labels`; fewer than `most`, or none, where there are no more.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    members = [order[labels[order] == label] for label in np.unique(labels)]
    groups = [rows[: len(rows) // size * size].reshape(-1, size) for rows in members]
    return rng.permutation(np.concatenate([np.empty((0, size), np.int64), *groups]))[:most]
