"""Answers as a table, JSON or CSV, written while they come: nothing is kept but counts."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, fields
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from detector.cli.answers import Answer
from detector.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STYLES = {Verdict.BENIGN: "green", Verdict.SUSPECT: "yellow", Verdict.ADVERSARIAL: "bold red"}
_HEADING = ("VERDICT", "P-VALUE", "SCORE", "PROB", "PREDICTION")
_NARROWEST = 10
_WIDEST = 24


class OutputFormat(StrEnum):
    """How answers are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Writer(Protocol):
    """Writes answers one by one."""

    def write(self, answer: Answer) -> None:
        """Write one answer."""
        ...


@contextmanager
def writing(stream: IO[str], style: OutputFormat, labels: Sequence[str]) -> Iterator[Writer]:
    """A writer of answers.

    Args:
        stream: Where to.
        style: Table for people; a JSON array of objects; or CSV with a header.
        labels: Names of the classes, which decide a column's width.
    """
    match style:
        case OutputFormat.TABLE:
            yield _TableWriter(stream, labels)
        case OutputFormat.CSV:
            yield _CsvWriter(stream)
        case OutputFormat.JSON:
            writer = _JsonWriter(stream)
            yield writer
            writer.close()


class Tally:
    """Counts answers, and remembers the first error."""

    def __init__(self) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.errors = 0
        self.first_error: Answer | None = None

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        if answer.verdict is not None:
            self.verdicts[answer.verdict] += 1
            return
        self.errors += 1
        self.first_error = self.first_error or answer

    def __str__(self) -> str:
        counts = ", ".join(f"{self.verdicts[verdict]} {verdict}" for verdict in Verdict)
        unread = f"; {self.errors} could not be scored" if self.errors else ""
        return f"{self.verdicts.total()} images: {counts}{unread}"


class _TableWriter:
    """Fixed columns, the image's name last: names may have any length, and rows can be written as they come."""

    def __init__(self, stream: IO[str], labels: Sequence[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._width = min(max([_NARROWEST, *map(len, labels)]), _WIDEST)
        heading = self._row(_HEADING, "IMAGE")
        self._console.print(Text(heading, "bold"))

    def write(self, answer: Answer) -> None:
        if answer.verdict is None:
            self._console.print(Text(self._row("-" * len(_HEADING), f"{answer.image}: {answer.error}"), "magenta"))
            return
        numbers = f"{answer.p_value:.4f}", f"{answer.score:.2f}", f"{answer.probability:.2f}"
        text = Text(self._row((answer.verdict, *numbers, answer.prediction), answer.image))
        text.stylize(STYLES[answer.verdict], 0, len(answer.verdict))
        self._console.print(text)

    def _row(self, columns: Sequence[str], image: str) -> str:
        verdict, p_value, score, probability, prediction = columns
        name = prediction if len(prediction) <= self._width else f"{prediction[: self._width - 1]}…"
        return f"{verdict:<11}  {p_value:>7}  {score:>7}  {name:<{self._width}}  {probability:>4}  {image}"


class _CsvWriter:
    """All fields of an answer; what is not known is left empty."""

    def __init__(self, stream: IO[str]) -> None:
        self._rows = csv.DictWriter(stream, [field.name for field in fields(Answer)], lineterminator="\n")
        self._rows.writeheader()

    def write(self, answer: Answer) -> None:
        self._rows.writerow(_record(answer))


class _JsonWriter:
    """An array with one object per line; what is not known is null."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._separator = "[\n"

    def write(self, answer: Answer) -> None:
        self._stream.write(self._separator + json.dumps(_record(answer), ensure_ascii=False, allow_nan=False))
        self._separator = ",\n"

    def close(self) -> None:
        self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")


def _record(answer: Answer) -> dict[str, Any]:
    """JSON has no NaN, and an empty name is none."""
    return {
        name: None if value == "" or (isinstance(value, float) and math.isnan(value)) else value
        for name, value in asdict(answer).items()
    }
