"""`isthmus score`: verdicts on files, without a server. Never loads torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.answering import answers_to, write_answers
from detector.cli.errors import clear_errors
from detector.cli.options import BundleOption, FormatOption, OutputOption
from detector.cli.rendering import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.cli.answers import Answer
    from detector.cli.flagged import FlaggedPictures
    from detector.cli.inputs import Given
    from detector.detector import Detector


def score(  # noqa: PLR0917 - a command line is its options
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Image files, folders, zips of folders, or .npz files with `images`."),
    ],
    bundle: BundleOption,
    style: FormatOption = OutputFormat.TABLE,
    output: OutputOption = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="Draw the path profiles of flagged images (the first 100) into this folder, a PNG each."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of the classifier.", min=1)] = None,
) -> None:
    """Score images with a bundle: prediction, score, p-value and verdict of each.

    Images are read and scored a few at a time, so any number will do. One that can't be read gets a row that says why
    and is counted; only if not one could be scored, the command fails.

    Example: isthmus score --bundle bundle photos/ --format csv --output verdicts.csv
    """
    with clear_errors():
        from detector.cli.flagged import FlaggedPictures
        from detector.cli.inputs import Inputs
        from detector.cli.remote import load_detector

        detector = load_detector(bundle, threads=threads)
        given = Inputs(inputs)
        ask = _asking(detector, FlaggedPictures(profiles) if profiles else None)
        manifest = detector.bundle.manifest
        answers = answers_to(given.decoded(manifest.spec.shape), ask)
        write_answers(answers, len(given), labels=manifest.labels, style=style, output=output)


def _asking(detector: Detector, pictures: FlaggedPictures | None) -> Callable[[list[Given]], list[Answer]]:
    import numpy as np

    from detector.cli.answers import of_detection

    def ask(images: list[Given]) -> list[Answer]:
        pixels = np.stack([image.content for image in images])
        detection = detector.score(pixels)
        if pictures is not None:
            pictures.add(images, pixels, detection)
        return of_detection(images, detection)

    return ask
