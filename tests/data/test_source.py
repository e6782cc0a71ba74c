"""One lazy iterator, and the sets that are read from it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.folder import open_folder
from detector.data.source import ImageSet, SkippedImage, choose, read_all
from detector.errors import DataError
from tests.support.pictures import SHAPE, classes, encoded, picture, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three images; the last is corrupt."""
    write(tmp_path, classes({"cat": 3, "dog": 3}))
    return write(tmp_path, {"dog/2.png": b"no picture"})


def test_images_come_one_by_one(folder: Path) -> None:
    source = open_folder(folder)
    images = source.load(SHAPE)
    first = [next(images) for _ in range(5)]
    assert [(image.name, image.label) for image in first] == [
        *((f"cat/{i}.png", 0) for i in range(3)),
        *((f"dog/{i}.png", 1) for i in range(2)),
    ]
    np.testing.assert_array_equal(first[4].pixels, picture(4))
    assert not source.skipped  # the corrupt sixth has not been reached
    assert next(images, None) is None
    assert source.skipped == (SkippedImage("dog/2.png", "is not a JPEG, PNG or WebP file"),)


def test_only_what_is_asked_for_is_read(folder: Path) -> None:
    source = open_folder(folder)
    images = source.load(SHAPE)
    next(images)
    for path in folder.rglob("*.png"):
        path.unlink()
    assert [image.name for image in images] == []
    assert [skipped.reason for skipped in source.skipped] == ["can't be read: No such file or directory"] * 5


def test_skipped_images_are_logged_by_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="isthmus"):
        list(open_folder(folder).load(SHAPE))
    assert caplog.messages == ["image skipped: dog/2.png: is not a JPEG, PNG or WebP file"]


def test_a_fresh_iteration_counts_afresh(folder: Path) -> None:
    source = open_folder(folder)
    for _ in range(2):
        assert len(list(source.load(SHAPE))) == 5
        assert len(source.skipped) == 1
    assert len(source) == 6


def test_reading_everything(folder: Path) -> None:
    seen: list[int] = []
    images = read_all(open_folder(folder), SHAPE, on_progress=seen.append)
    np.testing.assert_array_equal(images.pixels, [picture(seed) for seed in range(5)])
    assert images.labels is not None
    assert images.labels.dtype == np.int64
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    assert images.class_names == ("cat", "dog")
    assert [skipped.name for skipped in images.skipped] == ["dog/2.png"]
    assert seen == [1, 1, 1, 1, 1, 1]  # five images, then the corrupt one at the end


def test_a_part_is_balanced_seeded_and_in_order(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"a": 20, "b": 20, "c": 3})))
    parts = [read_all(source, SHAPE, limit=15, seed=seed) for seed in (1, 1, 2)]
    assert parts[0].names == parts[1].names
    assert parts[0].names != parts[2].names
    assert parts[0].digest == parts[1].digest != parts[2].digest
    assert parts[0].labels is not None
    assert Counter(parts[0].labels.tolist()) == {0: 6, 1: 6, 2: 3}
    assert list(parts[0].names) == sorted(parts[0].names, key=source.names.index)


def test_a_part_is_chosen_before_decoding(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"a": 10, "b": 10})))
    names = read_all(source, SHAPE, limit=4, seed=0).names
    write(tmp_path, dict.fromkeys(set(source.names) - set(names), b"broken"))
    again = read_all(source, SHAPE, limit=4, seed=0)
    assert (again.names, again.skipped) == (names, ())


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.integers(1, 80),
    st.integers(0, 2**32 - 1),
)
def test_choosing_is_as_even_as_the_classes_allow(labels: list[int], limit: int, seed: int) -> None:
    chosen = choose(labels, len(labels), limit, seed)
    assert len(chosen) == min(limit, len(labels)) == len(set(chosen.tolist()))
    assert (np.diff(chosen) > 0).all()
    taken, there = Counter(labels[i] for i in chosen), Counter(labels)
    short = [taken[label] for label in there if taken[label] < there[label]]
    assert not short or max(taken.values()) - min(short) <= 1


def test_choosing_without_labels() -> None:
    chosen = choose(None, 100, 10, seed=3)
    assert len(chosen) == 10
    np.testing.assert_array_equal(chosen, choose(None, 100, 10, seed=3))


def _set(**changes: object) -> ImageSet:
    fields: dict[str, object] = {
        "pixels": np.stack([picture(seed) for seed in range(3)]),
        "labels": np.array([2, 0, 1], dtype=np.int64),
        "names": ("x", "y", "z"),
    }
    return ImageSet(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name


def test_the_digest_is_of_pixels_and_labels() -> None:
    base = _set()
    pixels = base.pixels.copy()
    pixels[2, 7, 7, 2] ^= 1
    assert base.digest == _set(names=("p", "q", "r")).digest
    others = [_set(pixels=pixels), _set(labels=None), _set(labels=np.array([2, 0, 0])), base.take([1, 0, 2])]
    assert len({base.digest, *(other.digest for other in others)}) == 5


def test_taking_some() -> None:
    some = _set().take(np.array([2, 0]))
    np.testing.assert_array_equal(some.pixels, [picture(2), picture(0)])
    assert some.labels is not None
    assert (some.labels.tolist(), some.names, len(some)) == ([1, 2], ("z", "x"), 2)
    assert _set(labels=None).take([0]).labels is None


def test_nothing_usable(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, {"a.png": b"x", "b.jpg": b""}))
    with pytest.raises(DataError, match=r"not one usable image: 2 were skipped; the first: a\.png: is not a JPEG"):
        read_all(source, SHAPE)


def test_a_limit_of_none(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, {"a.png": encoded(picture(0))}))
    with pytest.raises(DataError, match="at least 1, not 0"):
        read_all(source, SHAPE, limit=0)


def test_more_than_memory_should_hold(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path, classes({"a": 2, "b": 2})))
    with pytest.raises(DataError, match=r"4 images of 50000 x 50000 need 27 GiB of memory; read fewer"):
        read_all(source, (3, 50_000, 50_000))
