"""The loop of the commands that score: images in chunks, answers written as they come, a line of counts at the end."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING

from detector.cli.answers import Answer, refusal
from detector.cli.output import result_stream
from detector.cli.progress import Bars
from detector.cli.rendering import OutputFormat, Tally, writing
from detector.data.source import SkippedImage
from detector.errors import DataError
from detector.progress import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from detector.cli.inputs import Given
    from detector.progress import Progress

CHUNK = 64  # images in memory at once


def answers_to(images: Iterator[Given | SkippedImage], ask: Callable[[list[Given]], list[Answer]]) -> Iterator[Answer]:
    """One answer per image, in order.

    Args:
        images: What there is; an image that could not be read gets an answer that says so.
        ask: Answers a few images, in order.
    """
    while part := list(islice(images, CHUNK)):
        given = [image for image in part if not isinstance(image, SkippedImage)]
        answered = iter(ask(given) if given else [])
        for image in part:
            yield refusal(image) if isinstance(image, SkippedImage) else next(answered)


def write_answers(
    answers: Iterator[Answer], total: int, *, labels: Sequence[str], style: OutputFormat, output: Path | None
) -> None:
    """Write every answer, then say on standard error how many there were of each kind.

    Args:
        answers: One per image.
        total: How many there will be.
        labels: Names of the classes.
        style: How an answer looks.
        output: A file, or None for standard output.

    Raises:
        DataError: Not one image could be scored, or the file can't be written.
    """
    tally = Tally()
    with (
        _watching(output) as progress,
        progress.stage("Scoring images", total) as advance,
        result_stream(output) as stream,
        writing(stream, style, labels) as writer,
    ):
        for answer in answers:
            writer.write(answer)
            tally.add(answer)
            advance(1)
    sys.stderr.write(f"{tally}\n")
    if tally.first_error is not None and not tally.verdicts:
        error = tally.first_error
        raise DataError(f"not one image could be scored; the first: {error.image}: {error.error}")


def _watching(output: Path | None) -> AbstractContextManager[Progress]:
    """Bars, unless the answers appear on the same screen: then they are the progress."""
    return nullcontext(Silence()) if output is None and sys.stdout.isatty() else Bars()
