"""MNIST's test images, where the third-party data is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.data.idx import read_idx

if TYPE_CHECKING:
    from pathlib import Path

    from detector.data.source import ImageSet

_ALL = 10_000


def mnist_images(shared_data: Path, limit: int = _ALL) -> ImageSet:
    """The first of them, with their labels."""
    folder = shared_data / "mnist"
    return read_idx(folder / "mnist_t10k-images-idx3-ubyte.gz", folder / "mnist_t10k-labels-idx1-ubyte.gz", limit)
