"""Images in an .npz."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.data.arrays import open_arrays
from detector.data.decode import DecodeLimits, fit_pixels
from detector.data.source import read_all
from detector.errors import DataError
from tests.support.pictures import SHAPE, picture

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = np.stack([picture(seed) for seed in range(6)])
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_images_and_labels_come_back(tmp_path: Path, save: Any, dtype: type) -> None:
    path = tmp_path / "x.npz"
    save(path, images=IMAGES, labels=LABELS.astype(dtype), class_names=np.array(["ant", "bee", "cat"]))
    images = read_all(open_arrays(path), SHAPE)
    np.testing.assert_array_equal(images.pixels, IMAGES)
    np.testing.assert_array_equal(images.labels, LABELS)
    assert images.class_names == ("ant", "bee", "cat")
    assert images.names[3] == "images[3]"


def test_labels_and_names_are_optional(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=IMAGES)
    images = read_all(open_arrays(tmp_path / "x.npz"), SHAPE)
    assert images.labels is None
    assert images.class_names is None


def test_images_of_another_size_are_scaled(tmp_path: Path) -> None:
    large = np.stack([picture(seed, 20, 13, 1) for seed in range(3)])
    np.savez(tmp_path / "x.npz", images=large)
    images = read_all(open_arrays(tmp_path / "x.npz"), SHAPE)
    np.testing.assert_array_equal(images.pixels, [fit_pixels(image, SHAPE) for image in large])


def test_any_order_of_reading(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", images=IMAGES)
    images = list(open_arrays(tmp_path / "x.npz").load(SHAPE, [4, 1, 5, 1]))
    np.testing.assert_array_equal([image.pixels for image in images], IMAGES[[4, 1, 5, 1]])


def test_a_part_is_balanced(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=LABELS)
    images = read_all(open_arrays(tmp_path / "x.npz"), SHAPE, limit=3, seed=0)
    assert images.labels is not None
    assert sorted(images.labels.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, r"no array named images \(uint8, \(N, H, W, C\)\); found pictures"),
        ({"images": IMAGES.astype(np.float32)}, r"images must be uint8 \(0..255\), not float32"),
        ({"images": IMAGES[0]}, r"images must be \(N, H, W, C\).*not \(8, 8, 3\)"),
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, r"images must be \(N, H, W, C\).*not \(6, 3, 8, 8\)"),
        ({"images": IMAGES[:0]}, r"images must be \(N, H, W, C\)"),
        ({"images": np.asfortranarray(IMAGES)}, "images are in Fortran order; save numpy.ascontiguousarray"),
        ({"images": np.array([{}])}, "images holds Python objects, which are never unpickled"),
        ({"images": IMAGES, "labels": LABELS.astype(float)}, r"labels must be integers \(6,\).*float64"),
        ({"images": IMAGES, "labels": LABELS[:4]}, r"labels must be integers \(6,\).*\(4,\)"),
        ({"images": IMAGES, "labels": LABELS - 1}, r"labels must be class indices from 0, found -1 to 1"),
        ({"images": IMAGES, "labels": np.array([{}] * 6)}, "labels holds Python objects"),
        ({"images": IMAGES, "labels": LABELS, "class_names": np.array(["a"])}, "labels reach 2, but class_names has 1"),
        ({"images": IMAGES, "class_names": np.array([1, 2])}, r"class_names must be strings \(classes,\), not int64"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=rf"x\.npz: .*{message}"):
        open_arrays(tmp_path / "x.npz")


def _member(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


@pytest.mark.parametrize(
    "images",
    [
        b"",
        b"\x93NUMPY\x09\x00" + bytes(50),
        b"not an array",
        _member((10**9, 1_000, 1_000, 3), "|u1", bytes(10)),
        _member((6, 8, 8, 3), "|u1", bytes(5)),
        _member((-6, -8, 8, 3), "|u1", bytes(6 * 8 * 8 * 3)),
    ],
    ids=["empty", "version", "text", "claims too much", "cut off", "negative"],
)
def test_headers_that_lie(tmp_path: Path, images: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", images)
    with pytest.raises(DataError, match=r"x\.npz: (unreadable: |images must be .* nothing empty)"):
        open_arrays(tmp_path / "x.npz")


def test_names_that_take_no_room(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=IMAGES)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("class_names.npy", _member((10**12,), "<U0", b""))
    with pytest.raises(DataError, match="class_names has more than"):
        open_arrays(tmp_path / "x.npz")


def test_images_above_the_limits(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=IMAGES)
    with pytest.raises(DataError, match=r"images \(6, 8, 8, 3\) are too large.*63 pixels"):
        open_arrays(tmp_path / "x.npz", limits=DecodeLimits(max_pixels=63))


def test_damaged_pixels_are_skipped_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    large = np.stack([picture(seed, 64, 64) for seed in range(6)])
    np.savez(path, images=large)
    data = bytearray(path.read_bytes())
    data[data.index(large[5].tobytes())] ^= 1
    path.write_bytes(data)
    source = open_arrays(path)
    assert len(list(source.load(SHAPE))) == 5
    assert [skipped.name for skipped in source.skipped] == ["images[5]"]


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00", b"text"])
def test_not_an_npz(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.npz: not a readable \.npz \(written by numpy\.savez\)"):
        open_arrays(tmp_path / "x.npz")
