from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.idx import read_idx, read_idx_images, read_idx_labels
from detector.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 256, 60, np.uint8).tobytes()
HUGE = 2**32 - 1


def _idx(*sizes: int, magic: int = 0x803, pixels: bytes = PIXELS) -> bytes:
    return gzip.compress(struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + pixels, mtime=0)


def _flipped(data: bytes) -> bytes:
    """The checksum, before the last four bytes, is wrong."""
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a gzipped idx file"),
        (b"no gzip at all", "unreadable"),
        (_idx(5, 4, 3)[:-20], "unreadable"),
        (_idx(5, 4, 3)[:5], "unreadable"),
        (_idx(60, magic=0x801), "not a gzipped idx file"),
        (_idx(5, 4, 3, magic=0xD03), "not a gzipped idx file"),
        (gzip.compress(b"", mtime=0), "not a gzipped idx file"),
        (_idx(5, 4, pixels=b""), "cut off within its header"),
        (_idx(5, 4, 4), "cut off"),
        (_idx(0, 4, 3), "holds nothing"),
        (_idx(5, 0, 3), "holds nothing"),
        (_idx(HUGE, HUGE, HUGE), "too large"),
        (_idx(5, 1, 40_000), "too large"),
        (_idx(5, 30_000, 30_000), "too large"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        read_idx_images(path, 100)
    assert str(path) in str(caught.value)


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(_flipped(_idx(5, 4, 3)))
    with pytest.raises(DataError, match="unreadable"):
        read_idx_images(path, 5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.gz"):
        read_idx_images(tmp_path / "absent.gz", 5)


def test_labels_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "labels-idx1-ubyte.gz"
    path.write_bytes(_idx(5, 4, 3))
    with pytest.raises(DataError, match="not a gzipped idx file of labels"):
        read_idx_labels(path, 5)


def test_each_image_has_its_label(tmp_path: Path) -> None:
    images, labels = tmp_path / "images.gz", tmp_path / "labels.gz"
    images.write_bytes(_idx(5, 4, 3))
    labels.write_bytes(_idx(4, magic=0x801, pixels=bytes(4)))
    with pytest.raises(DataError, match="4 labels for the 5 images"):
        read_idx(images, labels, 100)
