"""Images to train on, as the commands that need no classifier read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from detector.classifiers.base import ChannelOrder
from detector.cli.values import sides

if TYPE_CHECKING:
    from detector.progress import Progress
    from detector.training.data import LabelledImages


def read_labelled(
    images: str | None,
    *,
    size: str | None,
    channel_order: ChannelOrder | None,
    limit: int,
    seed: int,
    progress: Progress,
) -> LabelledImages:
    """Read images and what they show.

    Args:
        images: As for `open_images`; None for scikit-learn's digits, as they are.
        size: ``HxW``, to which they are scaled; None for their own, where they all have one that is known.
        channel_order: GRAY for one channel, anything else for RGB; None for RGB with a size, else for their own.
        limit: Most images.
        seed: Of the choice of images.
        progress: Watches.

    Raises:
        typer.BadParameter: Their size is not known, and none is given.
        DataError: They can't be read.
        AnalysisError: They have no labels.
    """
    from detector.data.opening import open_images
    from detector.data.source import choose, read_all
    from detector.embedded import labelled_digits
    from detector.training.data import LabelledImages

    if images is None:
        digits = labelled_digits()
        return digits.take(choose(digits.labels, len(digits), limit, seed))
    height, width = sides("--size", size)
    source = open_images(images)
    if height is not None and width is not None:
        shape = (1 if channel_order is ChannelOrder.GRAY else 3, height, width)
    elif source.own_shape is not None:
        channels, *own = source.own_shape
        if channel_order is not None:
            channels = 1 if channel_order is ChannelOrder.GRAY else 3
        shape = (channels, own[0], own[1])
    else:
        raise typer.BadParameter(f"--images {images}: give --size too, such as 32x32: files differ in theirs")
    with progress.stage("Reading images", min(limit, len(source))) as advance:
        read = read_all(source, shape, limit=limit, seed=seed, on_progress=advance)
    if read.skipped:
        progress.note(f"warning: {len(read.skipped)} images could not be read and are left out")
    return LabelledImages.of(read)
