"""Images to train on, as the commands that need no classifier read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from detector.cli.classifier_options import panelled
from detector.cli.values import sides

if TYPE_CHECKING:
    from detector.data.source import ImageSet, ImageSource
    from detector.progress import Progress
    from detector.training.data import LabelledImages

IMAGES: Final = "The images"

LabelledImagesOption = Annotated[
    str | None,
    panelled(
        "Labelled images to train on and test with: a folder of class sub-folders, a zip of one, an .npz (images, "
        "labels), a gzipped idx file with its labels beside it, or torchvision:NAME?root=FOLDER; scikit-learn's "
        "digits if not given.",
        IMAGES,
    ),
]
LabelledSizeOption = Annotated[
    str | None,
    panelled(
        "Height and width that they are scaled to, as in 32x32; must be given where they have no one size that is "
        "known, as in folders and zips.",
        IMAGES,
        metavar="HxW",
    ),
]
GrayOption = Annotated[bool, panelled("Read them in one channel, whatever they have.", IMAGES, "--gray")]
LabelledLimitOption = Annotated[int, panelled("Most images used: a class-balanced, seeded choice.", IMAGES, min=1)]


def read_named(
    images: str | None, *, size: str | None, gray: bool, limit: int, seed: int, progress: Progress
) -> ImageSet:
    """Read images with their names, and what they show.

    Args:
        images: As for `open_images`; None for scikit-learn's digits, as they are.
        size: ``HxW``, to which they are scaled; None for their own, where they all have one that is known.
        gray: Whether to read them in one channel; otherwise in three, or their own where those are known.
        limit: Most images.
        seed: Of the choice of images.
        progress: Watches.

    Raises:
        typer.BadParameter: Their size is not known, and none is given.
        DataError: They can't be read.
    """
    from detector.data.opening import open_images
    from detector.data.reading import read_images
    from detector.data.source import choose
    from detector.embedded import digits_set

    if images is None:
        if size is not None:
            raise typer.BadParameter("--size is of --images; digits have their own")
        digits = digits_set()
        return digits.take(choose(digits.labels, len(digits), limit, seed))
    source = open_images(images)
    shape = shape_of(source, images, size=size, gray=gray)
    return read_images(source, shape, limit=limit, seed=seed, progress=progress)


def source_name(images: str | None) -> str:
    """What to call the images of `read_named`."""
    return "scikit-learn's digits" if images is None else Path(images).name


def read_labelled(
    images: str | None, *, size: str | None, gray: bool, limit: int, seed: int, progress: Progress
) -> LabelledImages:
    """The images of `read_named` to train on.

    Raises:
        AnalysisError: They have no labels.
    """
    from detector.training.data import LabelledImages

    return LabelledImages.of(read_named(images, size=size, gray=gray, limit=limit, seed=seed, progress=progress))


def shape_of(source: ImageSource, images: str, *, size: str | None, gray: bool) -> tuple[int, int, int]:
    """In what shape images are read: (channels, height, width).

    Args:
        source: Of images.
        images: What to call it in errors.
        size: ``HxW``; None for their own, where they all have one that is known.
        gray: Whether in one channel; otherwise in three, or their own where those are known.

    Raises:
        typer.BadParameter: Their size is not known, and none is given.
    """
    height, width = sides("--size", size)
    channels, *own = source.own_shape or (3,)
    if height is None or width is None:
        if not own:
            raise typer.BadParameter(f"--images {images}: give --size too, such as 32x32: files differ in theirs")
        height, width = own
    return 1 if gray else channels, height, width
