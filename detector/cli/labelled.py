"""Images to train on, as the commands that need no classifier read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from detector.cli.classifier_options import panelled
from detector.cli.values import sides

if TYPE_CHECKING:
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


def read_labelled(
    images: str | None, *, size: str | None, gray: bool, limit: int, seed: int, progress: Progress
) -> LabelledImages:
    """Read images and what they show.

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
        AnalysisError: They have no labels.
    """
    from detector.data.opening import open_images
    from detector.data.source import choose, read_all
    from detector.embedded import labelled_digits
    from detector.training.data import LabelledImages

    if images is None:
        if size is not None:
            raise typer.BadParameter("--size is of --images; digits have their own")
        digits = labelled_digits()
        return digits.take(choose(digits.labels, len(digits), limit, seed))
    height, width = sides("--size", size)
    source = open_images(images)
    channels, *own = source.own_shape or (3,)
    if height is None or width is None:
        if not own:
            raise typer.BadParameter(f"--images {images}: give --size too, such as 32x32: files differ in theirs")
        height, width = own
    with progress.stage("Reading images", min(limit, len(source))) as advance:
        shape = (1 if gray else channels, height, width)
        read = read_all(source, shape, limit=limit, seed=seed, on_progress=advance)
    if read.skipped:
        progress.note(f"warning: {len(read.skipped)} images could not be read and are left out")
    return LabelledImages.of(read)
