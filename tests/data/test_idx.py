from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.idx import read_idx, read_idx_images
from tests.support.mnist import mnist_images

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("limit", "read"), [(2, 2), (5, 5), (9, 5)])
def test_idx_images_are_read_up_to_the_limit(tmp_path: Path, limit: int, read: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes()))
    images = read_idx_images(path, limit)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, pixels[:read])


def test_images_and_labels_are_a_set(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8)
    images, labels = tmp_path / "images.gz", tmp_path / "labels.gz"
    images.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 5, 4, 3) + pixels.tobytes()))
    labels.write_bytes(gzip.compress(struct.pack(">2I", 0x801, 5) + bytes([3, 1, 4, 1, 5])))
    read = read_idx(images, labels, 4)
    np.testing.assert_array_equal(read.pixels, pixels.reshape(5, 4, 3, 1)[:4])
    assert read.labels is not None
    assert read.labels.tolist() == [3, 1, 4, 1]
    assert read.names[3] == "images.gz[3]"


def test_the_shared_digits_are_read(shared_data: Path) -> None:
    read = mnist_images(shared_data)
    assert read.pixels.shape == (10_000, 28, 28, 1)
    assert np.bincount(read.labels if read.labels is not None else []).min() > 800
