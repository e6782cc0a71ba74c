"""What a command is given to score: files, folders, zips and .npz as one stream, bad images in their places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector.data.folder import read_bounded
from detector.data.opening import open_images
from detector.data.source import SkippedImage, skip_reason
from detector.errors import IsthmusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from detector.classifiers.base import UInt8Array
    from detector.data.decode import DecodeLimits
    from detector.data.source import ImageSource


@dataclass(frozen=True)
class Given:
    """An image to score.

    Args:
        name: What to call it in the answer: a path, or ``photos.npz/images[3]``.
        label: What the data set says it shows, where it says so.
        content: Pixels, or an encoded file.
    """

    name: str
    label: str | None
    content: UInt8Array | bytes


class Inputs:
    """Everything a command line names, listed but not read.

    Args:
        names: Files, folders, zips, .npz, or torchvision data sets.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._opened = [(name, _open(name)) for name in names]

    def __len__(self) -> int:
        """Number of candidate images; an input that can't be opened counts as one."""
        return sum(1 if isinstance(source, SkippedImage) else len(source) for _, source in self._opened)

    def decoded(self, shape: tuple[int, int, int]) -> Iterator[Given | SkippedImage]:
        """Every image as pixels, uint8 (height, width, channels) of `shape` (channels, height, width)."""
        for name, source in self._opened:
            yield from [source] if isinstance(source, SkippedImage) else _decoded(name, source, shape)

    def as_they_are(self, shape: tuple[int, int, int], *, limits: DecodeLimits) -> Iterator[Given | SkippedImage]:
        """Image files as their bytes, undecoded; images that are no files of their own as pixels, as in `decoded`."""
        for name, source in self._opened:
            if isinstance(source, SkippedImage):
                yield source
            elif Path(name).is_dir() or _is_file_itself(name, source):
                yield from _encoded(name, source, limits)
            else:
                yield from _decoded(name, source, shape)


def _open(name: str) -> ImageSource | SkippedImage:
    try:
        return open_images(name)
    except IsthmusError as error:
        return SkippedImage(name, skip_reason(error, name))


def _is_file_itself(name: str, source: ImageSource) -> bool:
    return Path(name).is_file() and list(source.names[:1]) == [str(Path(name))]


def _full_name(name: str, source: ImageSource, inner: str) -> str:
    return inner if _is_file_itself(name, source) else f"{name.rstrip('/')}/{inner}"


def _label(source: ImageSource, label: int | None) -> str | None:
    if label is None:
        return None
    return str(label) if source.class_names is None else source.class_names[label]


def _decoded(name: str, source: ImageSource, shape: tuple[int, int, int]) -> Iterator[Given | SkippedImage]:
    told = 0

    def skipped() -> Iterator[SkippedImage]:
        nonlocal told
        news = source.skipped[told:]
        told += len(news)
        return (SkippedImage(_full_name(name, source, one.name), one.reason) for one in news)

    try:
        for image in source.load(shape):
            yield from skipped()
            yield Given(_full_name(name, source, image.name), _label(source, image.label), image.pixels)
    except IsthmusError as error:  # the source as a whole went bad under way
        yield SkippedImage(name, skip_reason(error, name))
    yield from skipped()


def _encoded(name: str, source: ImageSource, limits: DecodeLimits) -> Iterator[Given | SkippedImage]:
    for refused in source.refused:
        yield SkippedImage(_full_name(name, source, refused.name), refused.reason)
    for index, inner in enumerate(source.names):
        full = _full_name(name, source, inner)
        try:
            data = read_bounded(Path(full), limits, full)
        except (IsthmusError, OSError) as error:
            yield SkippedImage(full, skip_reason(error, full))
            continue
        yield Given(full, _label(source, source.label_of(index)), data)
