"""One door to every kind of data set."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.archive import ArchiveSource
from detector.data.arrays import ArraysSource
from detector.data.folder import FolderSource
from detector.data.opening import open_images
from detector.data.source import ImageSource, read_all
from detector.errors import DataError
from tests.support.pictures import SHAPE, classes, write

if TYPE_CHECKING:
    from pathlib import Path

FILES = classes({"cat": 3, "dog": 2})


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """The same five images in every kind of file."""
    folder = write(tmp_path / "folder", FILES)
    images = read_all(open_images(folder), SHAPE)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert images.labels is not None
    np.savez(tmp_path / "x.npz", images=images.pixels, labels=images.labels)
    (tmp_path / "x.npz.part").write_bytes((tmp_path / "x.npz").read_bytes())
    return {"folder": folder, "zip": tmp_path / "x.zip", "npz": tmp_path / "x.npz", "renamed": tmp_path / "x.npz.part"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("folder", FolderSource), ("zip", ArchiveSource), ("npz", ArraysSource), ("renamed", ArraysSource)],
)
def test_every_kind_gives_the_same_images(sources: dict[str, Path], kind: str, expected: type[ImageSource]) -> None:
    source = open_images(str(sources[kind]))
    assert isinstance(source, expected)
    assert read_all(source, SHAPE).digest == read_all(open_images(sources["folder"]), SHAPE).digest


def test_torchvision_by_name() -> None:
    pytest.importorskip("torch")
    source = open_images("torchvision:FakeData?size=4&image_size=3,8,8&num_classes=2")
    assert len(read_all(source, SHAPE)) == 4


def test_a_single_image(sources: dict[str, Path]) -> None:
    images = read_all(open_images(sources["folder"] / "cat" / "0.png"), SHAPE)
    assert len(images) == 1
    assert images.labels is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"no such file or folder; give an image folder, a zip of one, an \.npz or torchvision:NAME"),
        ("empty", "no image found; looked for"),
        ("notes.txt", "neither an image nor a zip nor an .npz"),
        ("cut.zip", "neither an image nor a zip nor an .npz"),
        ("liar.zip", "not a readable zip"),
    ],
)
def test_what_can_not_be_opened(sources: dict[str, Path], tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    data = sources["zip"].read_bytes()
    write(tmp_path, {"notes.txt": b"hello", "cut.zip": data[:300], "liar.zip": data[-60:]})
    with pytest.raises(DataError, match=rf"{name}: .*{message}"):
        open_images(tmp_path / name)
