"""Reading all images of a source while somebody watches, and what their classes are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detector.data.opening import open_images
from detector.data.source import read_all

if TYPE_CHECKING:
    from detector.data.source import ImageSet, ImageSource
    from detector.progress import Progress

_SKIPPED_SHOWN = 5


def read_images(
    images: str | Path | ImageSource,
    shape: tuple[int, int, int],
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress,
) -> ImageSet:
    """Read images, and say how many could not be read.

    Args:
        images: As for `open_images`, or a source that is open.
        shape: What the classifier takes: (channels, height, width).
        progress: Watches.
        limit: Most images; None for all.
        seed: Of the choice of images.

    Raises:
        DataError: The images can't be used.
    """
    source = open_images(images) if isinstance(images, str | Path) else images
    total = len(source) if limit is None else min(limit, len(source))
    with progress.stage("Reading images", total) as advance:
        data = read_all(source, shape, limit=limit, seed=seed, on_progress=advance)
    if data.skipped:
        progress.note(f"warning: {len(data.skipped)} images could not be read and are left out")
        for skipped in data.skipped[:_SKIPPED_SHOWN]:
            progress.note(f"  {skipped.name}: {skipped.reason}")
    return data


def names_for(own: tuple[str, ...], data: ImageSet, *, given: bool) -> tuple[str, ...]:
    """A classifier's names of its classes; the data's, where it was given none and the counts agree."""
    if given or data.class_names is None or len(data.class_names) != len(own):
        return own
    return tuple(data.class_names)
