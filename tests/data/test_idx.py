from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.idx import read_idx, read_idx_images
from detector.data.opening import open_images
from detector.data.source import read_all
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


def _written(folder: Path, *, labels: bool = True) -> Path:
    pixels = np.arange(60, dtype=np.uint8)
    file = folder / "few-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 5, 4, 3) + pixels.tobytes()))
    if labels:
        shown = gzip.compress(struct.pack(">2I", 0x801, 5) + bytes([3, 1, 4, 1, 5]))
        (folder / "few-labels-idx1-ubyte.gz").write_bytes(shown)
    return file


def test_an_idx_file_is_opened_with_the_labels_beside_it(tmp_path: Path) -> None:
    source = open_images(_written(tmp_path))
    assert source.own_shape == (1, 4, 3)
    read = read_all(source, (1, 4, 3))
    np.testing.assert_array_equal(read.pixels.ravel(), np.arange(60))
    assert read.labels is not None
    assert read.labels.tolist() == [3, 1, 4, 1, 5]
    assert read.names[3] == "few-images-idx3-ubyte.gz[3]"
    assert read_all(source, (3, 8, 8)).pixels.shape == (5, 8, 8, 3)


def test_without_labels_beside_it_an_idx_file_has_none(tmp_path: Path) -> None:
    assert read_all(open_images(_written(tmp_path, labels=False)), (1, 4, 3)).labels is None
