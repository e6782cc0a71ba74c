"""A list of facts as two columns, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN: Final = 12


class Facts:
    """Rows of a name and a text, printed together."""

    def __init__(self) -> None:
        self._table = Table.grid(padding=(0, 2))
        self._table.add_column(style="bold", no_wrap=True)
        self._table.add_column(overflow="fold")

    def add(self, name: str, text: str, style: str = "") -> None:
        """Add a row."""
        self._table.add_row(name, Text(text, style))

    def print(self) -> None:
        """Print the rows on standard output."""
        Console(highlight=False).print(self._table)


def several(names: Sequence[str]) -> str:
    """Names in a line; of many, the first and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, and {len(names) - _SHOWN} more"
