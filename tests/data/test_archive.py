"""Zips of image folders, the hostile ones too."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.archive import open_archive
from detector.data.decode import DecodeLimits
from detector.data.folder import open_folder
from detector.data.source import read_all
from detector.errors import DataError
from tests.support.pictures import SHAPE, classes, encoded, picture, table, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMS: dict[str, dict[str, bytes]] = {
    "class folders": classes({"cat": 3, "dog": 2}),
    "inside one folder": classes({"cat": 3, "dog": 2}, prefix="test/"),
    "flat with a table": {
        "a.png": encoded(picture(0)),
        "b.png": encoded(picture(1)),
        "labels.csv": table([("a.png", "x"), ("b.png", "y"), ("c.png", "y")]),
    },
    "flat in a folder": {"all/a.png": encoded(picture(0)), "all/b.png": encoded(picture(1))},
    "with bad images": {**classes({"cat": 2, "dog": 1}), "dog/9.png": b"?", "stray.jpg": b""},
}

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_zip_reads_like_the_folder_it_holds(tmp_path: Path, form: str) -> None:
    unpacked = read_all(open_folder(write(tmp_path / "folder", FORMS[form])), SHAPE)
    packed = read_all(open_archive(_zip(tmp_path / "x.zip", FORMS[form])), SHAPE)
    assert packed.digest == unpacked.digest
    assert (packed.names, packed.class_names, packed.skipped) == (
        unpacked.names,
        unpacked.class_names,
        unpacked.skipped,
    )


def test_the_shared_images(shared_data: Path) -> None:
    source = open_archive(shared_data / "cifar10" / "test.zip")
    assert len(source) == 5_000
    assert source.class_names == CIFAR
    images = read_all(source, (3, 32, 32), limit=200, seed=7)
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [20] * 10
    assert images.names[0].startswith("test/airplane/")
    assert images.skipped == ()


def test_an_empty_class_folder_counts(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", classes({"cat": 1}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.mkdir("ant")
    assert open_archive(path).class_names == ("ant", "cat")


def test_nothing_is_written(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", FORMS["class folders"])
    read_all(open_archive(path), SHAPE)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/etc/out.png", "C:/out.png"])
def test_names_that_lead_out_are_skipped(tmp_path: Path, name: str) -> None:
    source = open_archive(_zip(tmp_path / "x.zip", {**FORMS["class folders"], name: encoded(picture(0))}))
    assert len(read_all(source, SHAPE)) == 5
    assert [(s.name, s.reason) for s in source.skipped] == [(name, "its path leads out of the zip")]


def test_a_member_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    files = {**FORMS["class folders"], "dog/huge.bmp": bytes(200 << 20), "dog/tight.bmp": bytes(12 << 20)}
    source = open_archive(_zip(tmp_path / "x.zip", files))
    tracemalloc.start()
    assert len(read_all(source, SHAPE)) == 5
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20  # neither of them was unpacked
    assert [(s.name, s.reason) for s in source.skipped] == [
        ("dog/huge.bmp", f"{200 << 20} bytes, at most {16 << 20} are accepted"),
        ("dog/tight.bmp", "packed more than 500 times, as no image is"),
    ]


def test_a_member_that_lies_about_its_size(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": encoded(picture(0)), "b.bmp": b"BM" + bytes(9 << 20)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    source = open_archive(path)
    assert len(read_all(source, SHAPE)) == 1
    assert [s.reason for s in source.skipped] == ["is damaged inside the zip"]


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    picked = encoded(picture(0), "BMP")
    path = _zip(tmp_path / "x.zip", {"a.bmp": picked, "b.bmp": encoded(picture(1), "BMP")}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(picked) + 80] ^= 1
    path.write_bytes(data)
    source = open_archive(path)
    assert read_all(source, SHAPE).names == ("b.bmp",)
    assert [(s.name, s.reason) for s in source.skipped] == [("a.bmp", "is damaged inside the zip")]


def test_encrypted_and_unusual_members_are_skipped(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": encoded(picture(0)), "b.png": encoded(picture(1))})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("c.png", encoded(picture(2)))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the first member's encryption flag
    path.write_bytes(data)
    source = open_archive(path)
    assert read_all(source, SHAPE).names == ("b.png",)
    assert [s.name for s in source.skipped] == ["a.png", "c.png"]
    assert all(s.reason.startswith("is encrypted or not packed by deflate") for s in source.skipped)


def test_limits_hold_inside_zips(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": encoded(picture(0)), "b.png": encoded(picture(1, 40, 40))})
    source = open_archive(path, limits=DecodeLimits(max_bytes=1_000))
    assert read_all(source, SHAPE).names == ("a.png",)


def test_a_name_given_twice(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns whoever writes such a zip
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", encoded(picture(0)))
            archive.writestr("a.png", encoded(picture(1)))
    assert read_all(open_archive(path), SHAPE).names == ("a.png",)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all", b"PK\x05\x06" + bytes(10)])
def test_not_a_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x\.zip: not a readable zip"):
        open_archive(path)


def test_a_zip_cut_in_half(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", FORMS["class folders"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="not a readable zip"):
        open_archive(path)


def test_a_zip_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.zip: no image found; looked for bmp"):
        open_archive(_zip(tmp_path / "x.zip", {"readme.txt": b"", "../a.png": b""}))
