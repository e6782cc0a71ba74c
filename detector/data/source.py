"""Where images come from: one lazy iterator for all kinds, and the set of images that is read from it."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.data.digests import image_digests
from detector.errors import DataError, IsthmusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from detector.classifiers.base import UInt8Array

_LOGGER = logging.getLogger("isthmus")
MAX_IMAGES: Final = 5_000_000
MAX_SET_BYTES: Final = 16 << 30

Reader = Callable[[int], tuple["UInt8Array", int | None]]
"""Reads candidate i: its pixels, uint8 (height, width, channels), and its label."""


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image of a data set.

    Args:
        name: Unique within its source: a path, or ``images[3]``.
        pixels: uint8 (height, width, channels) of the classifier's size, RGB or grey.
        label: Index into the source's `class_names` (a class index as it stands, where there are no names), or None.
    """

    name: str
    pixels: UInt8Array
    label: int | None


@dataclass(frozen=True)
class SkippedImage:
    """An image that was left out, and why."""

    name: str
    reason: str


class ImageSource(ABC):
    """A data set whose images are decoded one by one, when they are asked for.

    Args:
        names: One per candidate image, in a fixed order.
        labels: One per candidate, or None where there are none or they are known only once an image is read.
        class_names: What the labels index, or None.
        refused: Images known to be unusable before any is read; they are no candidates.

    Attributes:
        own_shape: (channels, height, width) of all its images, where that is known before any is decoded.
    """

    own_shape: tuple[int, int, int] | None = None

    def __init__(
        self,
        *,
        names: Sequence[str],
        labels: Sequence[int] | NDArray[np.int64] | None,
        class_names: tuple[str, ...] | None,
        refused: Iterable[SkippedImage] = (),
    ) -> None:
        if len(names) > MAX_IMAGES:
            raise DataError(f"{len(names)} images are too many, at most {MAX_IMAGES} are accepted; give a part of them")
        self.names = names
        self.labels = labels
        self.class_names = class_names
        self._refused = tuple(refused)
        self._skipped: list[SkippedImage] = []

    def __len__(self) -> int:
        """Number of candidate images; some of them may turn out to be corrupt."""
        return len(self.names)

    @property
    def refused(self) -> tuple[SkippedImage, ...]:
        """Images known to be unusable before any is read."""
        return self._refused

    @property
    def skipped(self) -> tuple[SkippedImage, ...]:
        """What the latest `load` has left out so far, in order."""
        return tuple(self._skipped)

    def load(self, shape: tuple[int, int, int], indices: Iterable[int] | None = None) -> Iterator[LabelledImage]:
        """Decode images lazily; an unusable one is logged, added to `skipped` and passed over.

        A new iteration empties `skipped`, so run one at a time.

        Args:
            shape: What the classifier takes: (channels, height, width).
            indices: Which candidates, all in order unless given.

        Yields:
            The usable images, in the order of `indices`.

        Raises:
            DataError: The source as a whole can't be read any more.
        """
        self._skipped = []
        for refused in self._refused:
            self._skip(refused)
        with self._reader(shape) as read:
            for index in range(len(self)) if indices is None else indices:
                try:
                    pixels, label = read(index)
                except (IsthmusError, OSError) as error:
                    self._skip(SkippedImage(self.names[index], skip_reason(error, self.names[index])))
                    continue
                yield LabelledImage(self.names[index], pixels, label)

    def label_of(self, index: int) -> int | None:
        """The label of one candidate where it is known beforehand."""
        return None if self.labels is None else int(self.labels[index])

    @abstractmethod
    def _reader(self, shape: tuple[int, int, int]) -> AbstractContextManager[Reader]:
        """Open what is needed to read candidates; the reader raises an IsthmusError or OSError on an unusable one."""

    def _skip(self, image: SkippedImage) -> None:
        self._skipped.append(image)
        _LOGGER.warning("image skipped: %s: %s", image.name, image.reason)


def skip_reason(error: IsthmusError | OSError, name: str) -> str:
    """Why an image is left out, without its name."""
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror or type(error).__name__}"
    return str(error).removeprefix(f"{name}: ")


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSet:
    """Images in memory.

    Args:
        pixels: uint8 (N, height, width, channels), RGB or grey.
        labels: int64 (N,), or None where the images have none.
        names: One per image.
        class_names: What the labels index, or None where they are plain class indices.
        skipped: What was left out when the images were read; a part of a set keeps the list of the whole.
    """

    pixels: UInt8Array
    labels: NDArray[np.int64] | None
    names: tuple[str, ...]
    class_names: tuple[str, ...] | None = None
    skipped: tuple[SkippedImage, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    @cached_property
    def image_digests(self) -> tuple[str, ...]:
        """What each image is known by; see `detector.data.digests`."""
        return image_digests(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of pixels and labels, shapes included: the same images and labels, whatever they are called."""
        digest = hashlib.sha256()
        for part in (self.pixels, np.empty(0, np.int64) if self.labels is None else self.labels):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def take(self, indices: NDArray[np.int64] | Sequence[int]) -> ImageSet:
        """The images at `indices`, in that order, copied."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            pixels=self.pixels[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            names=tuple(self.names[i] for i in chosen),
        )


def choose(labels: Sequence[int] | NDArray[np.int64] | None, count: int, limit: int, seed: int) -> NDArray[np.int64]:
    """Choose a part of a data set, evenly over its classes.

    Classes with too few images give all of theirs, and the others make up for it.

    Args:
        labels: One per image, or None to choose without regard to classes.
        count: Number of images.
        limit: How many to choose at most.
        seed: The same seed chooses the same images.

    Returns:
        int64, rising, at most `limit` indices.

    Raises:
        DataError: `limit` is below 1.
    """
    if limit < 1:
        raise DataError(f"the number of images must be at least 1, not {limit}")
    order = np.random.default_rng(seed).permutation(count)
    if labels is not None:
        order = order[np.argsort(_rank_in_class(np.asarray(labels, dtype=np.int64)[order]), kind="stable")]
    return np.sort(order[:limit])


def _rank_in_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal labels stand before each label."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.r_[True, np.diff(labels[by_class]) != 0]
    positions = np.arange(len(labels))
    ranks = np.empty_like(positions)
    ranks[by_class] = positions - np.maximum.accumulate(np.where(starts, positions, 0))
    return ranks


def read_all(
    source: ImageSource,
    shape: tuple[int, int, int],
    *,
    limit: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> ImageSet:
    """Read a source, or a part of it that is chosen before anything is decoded.

    Args:
        source: Where from.
        shape: What the classifier takes: (channels, height, width).
        limit: At most so many images, spread evenly over the classes; corrupt ones among them are not replaced.
        seed: Chooses the part.
        on_progress: Told the number of candidates dealt with since it was told last.

    Returns:
        The usable images, in the source's order.

    Raises:
        DataError: No image is usable, only some have labels, or they need more than 16 GiB.
    """
    chosen = np.arange(len(source)) if limit is None else choose(source.labels, len(source), limit, seed)
    pixels = _room(len(chosen), shape)
    names: list[str] = []
    labels: list[int] = []
    told = 0
    for image in source.load(shape, chosen.tolist()):
        pixels[len(names)] = image.pixels
        names.append(image.name)
        labels.extend(() if image.label is None else (image.label,))
        done = len(names) + len(source.skipped)
        if on_progress is not None:
            on_progress(done - told)
        told = done
    if on_progress is not None:
        on_progress(len(chosen) - told)
    _check_read(names, labels, source.skipped)
    return ImageSet(
        pixels=pixels[: len(names)],
        labels=np.asarray(labels, dtype=np.int64) if labels else None,
        names=tuple(names),
        class_names=source.class_names,
        skipped=source.skipped,
    )


def _room(count: int, shape: tuple[int, int, int]) -> UInt8Array:
    channels, height, width = shape
    needed = count * channels * height * width
    if needed > MAX_SET_BYTES:
        raise DataError(f"{count} images of {height} x {width} need {needed >> 30} GiB of memory; read fewer (a limit)")
    return np.empty((count, height, width, channels), dtype=np.uint8)


def _check_read(names: list[str], labels: list[int], skipped: tuple[SkippedImage, ...]) -> None:
    if not names:
        first = f"; the first: {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise DataError(f"not one usable image: {len(skipped)} were skipped{first}")
    if labels and len(labels) != len(names):
        raise DataError(
            f"{len(names) - len(labels)} of {len(names)} images have no label; give all of them one or none"
        )
