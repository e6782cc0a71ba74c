"""What networks are trained on and tested with: images in memory, from wherever the project reads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.data.source import ImageSet

_IMAGE_AXES = 4
_LEVELS = 255


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with what they show.

    Args:
        images: (N, channels, height, width), uint8, or float32 in [0, 1].
        labels: int64 (N,), in 0..classes - 1.
        classes: How many there are.

    Raises:
        AnalysisError: No image, not one label for each, or anything out of shape or range.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    classes: int

    def __post_init__(self) -> None:
        if self.images.ndim != _IMAGE_AXES or self.images.dtype not in (np.uint8, np.float32) or not len(self.images):
            raise AnalysisError(
                f"images: (N, channels, height, width), uint8 or float32, N at least 1, not {self.images.dtype} "
                f"{self.images.shape}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise AnalysisError(f"labels: one for each of {len(self.images)} images, not {self.labels.shape}")
        if self.labels.min() < 0 or self.labels.max() >= self.classes:
            raise AnalysisError(f"labels: in 0..{self.classes - 1}, not {self.labels.min()}..{self.labels.max()}")
        if self.images.dtype == np.float32 and not (self.images.min() >= 0 and self.images.max() <= 1):
            raise AnalysisError("images: float pixels must lie in [0, 1] and be no NaN")

    @classmethod
    def of(cls, images: ImageSet, classes: int | None = None) -> LabelledImages:
        """The images of a set that was read.

        Args:
            images: Labelled.
            classes: How many there are; None counts the set's own names, or up to its largest label.

        Raises:
            AnalysisError: It has no labels.
        """
        if images.labels is None:
            raise AnalysisError("images: these have no labels, and training needs them")
        if classes is None:
            classes = len(images.class_names) if images.class_names else int(images.labels.max()) + 1
        return cls(np.ascontiguousarray(images.pixels.transpose(0, 3, 1, 2)), images.labels, classes)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: (channels, height, width)."""
        channels, height, width = self.images.shape[1:]
        return int(channels), int(height), int(width)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of images and labels."""
        digest = hashlib.sha256(str(self.classes).encode())
        for part in (self.images, self.labels):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    @cached_property
    def canonical(self) -> Float32Array:
        """The images as classifiers take them: float32 in [0, 1]."""
        if self.images.dtype == np.float32:
            return self.images
        return self.images.astype(np.float32) / np.float32(_LEVELS)

    @property
    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, in [0, 1]; a constant channel's deviation is called 1."""
        means, stds = self.canonical.mean(axis=(0, 2, 3), dtype=float), self.canonical.std(axis=(0, 2, 3), dtype=float)
        return tuple(means.tolist()), tuple(np.where(stds > 0, stds, 1).tolist())

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Images and labels for `Training`."""
        return torch.from_numpy(self.images), torch.from_numpy(self.labels)

    def batches(self, size: int) -> list[Tensor]:
        """The images in parts, as networks take them: float32 in [0, 1], up to `size` each."""
        return [torch.from_numpy(self.canonical[begin : begin + size]) for begin in range(0, len(self), size)]

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> LabelledImages:
        """Some of them, in that order, copied."""
        chosen = np.asarray(rows, np.int64)
        return LabelledImages(self.images[chosen], self.labels[chosen], self.classes)

    def head(self, most: int) -> LabelledImages:
        """The first of them, at most so many."""
        return self if most >= len(self) else self.take(range(most))

    def split(self, first: int, seed: int) -> tuple[LabelledImages, LabelledImages]:
        """Two parts at random, without an image in common.

        Args:
            first: Images of the first part.
            seed: The same seed gives the same parts.

        Raises:
            AnalysisError: A part would be empty.
        """
        if not 0 < first < len(self):
            raise AnalysisError(f"images: {len(self)} can't be split into {first} and the rest")
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(order[:first]), self.take(order[first:])
