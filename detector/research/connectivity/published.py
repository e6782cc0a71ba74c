"""Barrier statistics that others published, read from CSV files.

Columns are named as the authors of the paper name them (``Class``, ``Loss1``, ``Loss2``, ``Max Interpolated Loss``;
others beside them are not read) or as ``class``, ``loss1``, ``loss2``, ``max_interpolated_loss``.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.paths.samples import ROUNDING, BarrierSample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 200_000
MAX_CLASS: Final = 1_000_000
_COLUMNS: Final = ("class", "loss1", "loss2", "max_interpolated_loss")
_LONGEST_SHOWN = 40


def read_barriers(file: Path) -> BarrierSample:
    """Read published barriers.

    Args:
        file: CSV with a head line, UTF-8.

    Raises:
        AnalysisError: It can't be read, is too large, lacks a column or a row, or a cell is no class number or no
            finite loss of at least 0, or a largest loss lies below an end's. Names file, line and column.
    """
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise AnalysisError(f"{file}: {size:,} bytes, at most {MAX_BYTES:,} are read")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_rows(file, csv.reader(stream, strict=True)))
    except OSError as error:
        raise AnalysisError(f"{file}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnalysisError(f"{file}: not UTF-8 text") from error
    except csv.Error as error:
        raise AnalysisError(f"{file}: not CSV: {error}") from error
    if not rows:
        raise AnalysisError(f"{file}: no row below the head line")
    table = np.array(rows, np.float64)
    return BarrierSample(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3])


def _rows(file: Path, reader: Iterator[list[str]]) -> Iterator[tuple[float, ...]]:
    head = next(reader, None)
    if head is None:
        raise AnalysisError(f"{file}: empty")
    places = _places(file, head)
    for number, row in enumerate(filter(None, reader)):
        line = reader.line_num  # type: ignore[attr-defined] # of csv's reader, which has no public type
        if number >= MAX_ROWS:
            raise AnalysisError(f"{file}, line {line}: more than {MAX_ROWS:,} rows")
        if len(row) != len(head):
            raise AnalysisError(f"{file}, line {line}: {len(row)} cells, but {len(head)} columns")
        yield _values(f"{file}, line {line}", head, [row[place] for place in places], places)


def _places(file: Path, head: Sequence[str]) -> list[int]:
    """Where the columns are."""
    names = [name.strip().lower().replace(" ", "_") for name in head]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise AnalysisError(f"{file}, line 1: no column {', '.join(missing)}; there are {', '.join(map(_short, head))}")
    twice = [name for name in _COLUMNS if names.count(name) > 1]
    if twice:
        raise AnalysisError(f"{file}, line 1: column {twice[0]} is there twice")
    return [names.index(name) for name in _COLUMNS]


def _values(where: str, head: Sequence[str], cells: Sequence[str], places: Sequence[int]) -> tuple[float, ...]:
    columns = [_short(head[place].strip()) for place in places]
    values = tuple(_number(f"{where}, column {name}", cell) for name, cell in zip(columns, cells, strict=True))
    if values[0] != int(values[0]) or values[0] > MAX_CLASS:
        raise AnalysisError(f"{where}, column {columns[0]}: {_short(cells[0])!r} is no class number")
    for name, end in zip(columns[1:3], values[1:3], strict=True):
        if values[3] < end - ROUNDING:
            raise AnalysisError(f"{where}, column {columns[3]}: {values[3]:g} lies below {name}, {end:g}")
    return values


def _number(where: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise AnalysisError(f"{where}: {_short(cell)!r} is no finite number of at least 0")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"
