"""Image folders of every form."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.decode import DecodeLimits
from detector.data.folder import open_files, open_folder
from detector.data.source import ImageSource, read_all
from detector.errors import DataError
from tests.support.pictures import SHAPE, bomb, classes, encoded, picture, table, write

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = {f"{name}.png": encoded(picture(seed)) for seed, name in enumerate("abc")}


def _labels(source: ImageSource) -> dict[str, int | None]:
    return {image.name: image.label for image in source.load(SHAPE)}


def test_class_folders_are_numbered_by_name(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"truck": 1, "airplane": 2, "cat": 1})))
    assert source.class_names == ("airplane", "cat", "truck")
    assert _labels(source) == {"airplane/0.png": 0, "airplane/1.png": 0, "cat/0.png": 1, "truck/0.png": 2}


def test_all_formats_and_spellings(tmp_path: Path) -> None:
    kinds = {"a.jpg": "JPEG", "b.JPEG": "JPEG", "c.PNG": "PNG", "d.webp": "WEBP", "e.bmp": "BMP"}
    source = open_folder(write(tmp_path, {name: encoded(picture(0), kind) for name, kind in kinds.items()}))
    assert list(_labels(source)) == list(kinds)
    assert source.skipped == ()


def test_a_folder_around_the_class_folders_is_looked_through(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"cat": 1, "dog": 1}, prefix="data/test/")))
    assert source.class_names == ("cat", "dog")
    assert _labels(source) == {"data/test/cat/0.png": 0, "data/test/dog/0.png": 1}


def test_images_deeper_in_a_class_folder_belong_to_it(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"cat/indoors": 1, "cat/outdoors": 1, "dog": 1})))
    assert list(_labels(source).values()) == [0, 0, 1]


def test_an_empty_class_folder_keeps_its_number(tmp_path: Path) -> None:
    write(tmp_path, classes({"bee": 1}))
    (tmp_path / "ant").mkdir()
    (tmp_path / ".git").mkdir()
    write(tmp_path, {"notes/readme.txt": b"not a class"})
    source = open_folder(tmp_path)
    assert source.class_names == ("ant", "bee")
    assert _labels(source) == {"bee/0.png": 1}


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    files = {**classes({"cat": 1, "dog": 1}), "cat/._0.png": b"", ".cache/x.png": b"", "__MACOSX/cat/0.png": b""}
    assert len(open_folder(write(tmp_path, files))) == 2


def test_loose_images_beside_class_folders_are_skipped_by_name(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, {**classes({"cat": 1, "dog": 1}), "stray.png": encoded(picture(9))}))
    assert len(_labels(source)) == 2
    assert [(s.name, s.reason) for s in source.skipped] == [
        ("stray.png", "lies beside the class folders, so it has no class")
    ]


def test_flat_without_labels(tmp_path: Path) -> None:
    images = read_all(open_folder(write(tmp_path, IMAGES)), SHAPE)
    assert images.labels is None
    assert images.class_names is None
    assert images.names == ("a.png", "b.png", "c.png")
    np.testing.assert_array_equal(images.pixels[1], picture(1))


@pytest.mark.parametrize(
    ("labels", "expected", "names"),
    [
        (["dog", "cat", "dog"], [1, 0, 1], ("cat", "dog")),
        ([3, 0, 3], [3, 0, 3], None),
        (["3", "cat", "3"], [0, 1, 0], ("3", "cat")),
        (["99999999999999999999", "1", "1"], [1, 0, 0], ("1", "99999999999999999999")),
    ],
    ids=["names", "indices", "mixed", "too long for a number"],
)
def test_flat_with_a_table(
    tmp_path: Path, labels: list[object], expected: list[int], names: tuple[str, ...] | None
) -> None:
    write(tmp_path, {**IMAGES, "labels.csv": table(list(zip(IMAGES, labels, strict=True)))})
    source = open_folder(tmp_path)
    assert list(_labels(source).values()) == expected
    assert source.class_names == names


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbffile,label\r\na.png,0\r\nb.png,1\r\nc.png,2\r\n",
        b"Label, File , note\n0,a.png,x\n1,./b.png,\n\n2,c.png,y\n",
        b'file,label\n"a.png","0"\nb.png,1\nc.png,2',
    ],
    ids=["excel", "order, blanks and more columns", "quotes"],
)
def test_tables_as_people_write_them(tmp_path: Path, text: bytes) -> None:
    source = open_folder(write(tmp_path, {**IMAGES, "labels.csv": text}))
    assert _labels(source) == {"a.png": 0, "b.png": 1, "c.png": 2}


def test_a_table_over_sub_folders(tmp_path: Path) -> None:
    files = {
        "x/a.png": IMAGES["a.png"],
        "y/b.png": IMAGES["b.png"],
        "labels.csv": table([("x\\a.png", 1), ("y/b.png", 0)]),
    }
    assert _labels(open_folder(write(tmp_path, files))) == {"x/a.png": 1, "y/b.png": 0}


def test_table_and_files_that_disagree_are_counted(tmp_path: Path) -> None:
    rows = [("a.png", "cat"), ("gone.png", "ant"), ("../../etc/passwd", "ant"), ("c.png", "dog")]
    source = open_folder(write(tmp_path, {**IMAGES, "labels.csv": table(rows)}))
    assert source.class_names == ("ant", "cat", "dog")
    assert _labels(source) == {"a.png": 1, "c.png": 2}
    reasons = {skipped.name: skipped.reason for skipped in source.skipped}
    assert set(reasons) == {"gone.png", "../../etc/passwd", "b.png"}
    assert reasons["gone.png"].startswith("named in labels.csv, but there is no such")
    assert reasons["b.png"] == "has no row in labels.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the first line must name the columns file and label"),
        (b"a.png,0\nb.png,1\n", "the first line must name the columns file and label"),
        (b"file,label\na.png,\n", "line 2: a file and a label are needed"),
        (b"file,label\na.png\n", "line 2: a file and a label are needed"),
        (b"file,label\na.png,cat\nb.png,dog\na.png,dog\n", "line 4: a.png has two labels, cat and dog"),
        (b"file,label\n\xff\xfe\0,cat", "not a CSV file in UTF-8"),
        (b'file,label\n"a.png,cat', "not a CSV file in UTF-8"),
        (b"file,label\n" + b"x" * 200_000, "not a CSV file in UTF-8"),
    ],
)
def test_unreadable_tables(tmp_path: Path, text: bytes, message: str) -> None:
    write(tmp_path, {**IMAGES, "labels.csv": text})
    with pytest.raises(DataError, match=rf"labels\.csv.*{message}"):
        open_folder(tmp_path)


def test_every_kind_of_bad_image_is_skipped(tmp_path: Path) -> None:
    bad = {
        "bomb.png": bomb(50_000, 50_000),
        "cut.jpg": encoded(picture(0, 64, 64), "JPEG")[:-300],
        "empty.png": b"",
        "large.bmp": bytes(5_000),
        "text.png": b"hello",
    }
    source = open_folder(write(tmp_path, {**IMAGES, **bad}), limits=DecodeLimits(max_bytes=4_500))
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert set(_labels(source)) == set(IMAGES)
    assert [skipped.name for skipped in source.skipped] == sorted(bad)
    reasons = [skipped.reason for skipped in source.skipped]
    for reason, part in zip(reasons, ["50000 x 50000", "truncated", "empty", "5000 bytes", "not a JPEG"], strict=True):
        assert part in reason


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "real", classes({"cat": 1, "dog": 1}))
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "cat").symlink_to(tmp_path / "real" / "cat")
    (tmp_path / "view" / "dog").symlink_to(tmp_path / "real" / "dog")
    (tmp_path / "real" / "dog" / "back").symlink_to(tmp_path / "view")
    assert _labels(open_folder(tmp_path / "view")) == {"cat/0.png": 0, "dog/0.png": 1}


def test_a_pipe_named_as_an_image_does_not_block(tmp_path: Path) -> None:
    write(tmp_path, IMAGES)
    os.mkfifo(tmp_path / "pipe.png")
    source = open_folder(tmp_path)
    assert set(_labels(source)) == set(IMAGES)
    assert [skipped.reason for skipped in source.skipped] == ["is not a regular file"]


def test_a_folder_without_images_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, {"notes.txt": b"", "x/y.gif": b""})
    with pytest.raises(DataError, match="no image found; looked for bmp, jpeg, jpg, png, webp files, also in sub"):
        open_folder(tmp_path)


def test_single_files(tmp_path: Path) -> None:
    write(tmp_path, IMAGES)
    source = open_files([tmp_path / "b.png", tmp_path / "none.png"])
    assert list(_labels(source)) == [str(tmp_path / "b.png")]
    assert [skipped.name for skipped in source.skipped] == [str(tmp_path / "none.png")]
    with pytest.raises(DataError, match="no image file is given"):
        open_files([])
