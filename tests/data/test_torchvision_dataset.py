"""Torchvision data sets by name."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="torchvision needs torch")

from detector.data.source import read_all
from detector.data.torchvision_dataset import open_torchvision
from detector.errors import DataError
from tests.support.pictures import SHAPE, classes, picture, write

if TYPE_CHECKING:
    from pathlib import Path

FAKE = "torchvision:FakeData?size=12&image_size=3,8,8&num_classes=3"


def test_generated_images() -> None:
    images = read_all(open_torchvision(FAKE), SHAPE)
    assert images.pixels.shape == (12, 8, 8, 3)
    assert images.labels is not None
    assert set(images.labels.tolist()) <= {0, 1, 2}
    assert images.names[:2] == ("FakeData[0]", "FakeData[1]")
    assert images.digest == read_all(open_torchvision(FAKE), SHAPE).digest


def test_an_image_folder_is_balanced_without_decoding(tmp_path: Path) -> None:
    write(tmp_path, classes({"cat": 6, "dog": 3}))
    source = open_torchvision(f"torchvision:ImageFolder?root={tmp_path}")
    assert source.class_names == ("cat", "dog")
    assert source.labels == [0] * 6 + [1] * 3
    images = read_all(source, SHAPE, limit=4, seed=1)
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 1, 1]


def test_a_corrupt_image_is_skipped_by_name(tmp_path: Path) -> None:
    write(tmp_path, {**classes({"cat": 2}), "cat/9.png": b"?"})
    source = open_torchvision(f"torchvision:ImageFolder?root={tmp_path}")
    assert len(list(source.load(SHAPE))) == 2
    assert [skipped.name for skipped in source.skipped] == ["ImageFolder[2]"]


def test_mnist_files(tmp_path: Path) -> None:
    digits = np.stack([picture(seed, 28, 28, 1)[:, :, 0] for seed in range(10)])
    files = {
        "t10k-images-idx3-ubyte": struct.pack(">IIII", 0x803, 10, 28, 28) + digits.tobytes(),
        "t10k-labels-idx1-ubyte": struct.pack(">II", 0x801, 10) + bytes(range(10)),
    }
    write(tmp_path / "MNIST" / "raw", {**files, **{f"{name}.gz": gzip.compress(data) for name, data in files.items()}})
    write(tmp_path / "MNIST" / "raw", {name.replace("t10k", "train"): data for name, data in files.items()})
    images = read_all(open_torchvision(f"torchvision:MNIST?root={tmp_path}&train=false"), (1, 28, 28))
    np.testing.assert_array_equal(images.pixels[:, :, :, 0], digits)
    assert images.labels is not None
    assert images.labels.tolist() == list(range(10))
    assert images.class_names is not None
    assert images.class_names[0] == "0 - zero"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision:NoSuchSet", "torchvision has no data set of this name; write it as in torchvision:CIFAR10"),
        ("torchvision:os", "torchvision has no data set of this name"),
        ("torchvision:", "torchvision has no data set of this name"),
        ("torchvision:FakeData?size", "write the arguments as in torchvision:CIFAR10"),
        ("torchvision:FakeData?colour=red", "FakeData takes no argument colour; it takes size, image_size"),
        ("torchvision:FakeData?transform=os.system", "takes no argument transform"),
        ("torchvision:ImageFolder?root=/nowhere&loader=x", "takes no argument loader"),
        ("torchvision:CIFAR10?root=/nowhere", "not found.*; add download=true to fetch it"),
        ("torchvision:CIFAR10", "CIFAR10: .*root"),
    ],
)
def test_sets_that_can_not_be_opened(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_torchvision(source)
