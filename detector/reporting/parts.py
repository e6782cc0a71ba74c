"""What the page is made of: sections, and cells of its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.reporting import numbers
from detector.reporting.html import Cell, element, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markupsafe import Markup

_DEEPEST = 0.5
"""Opacity of the fullest shade; text stays readable on it."""


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Args:
        anchor: Its id.
        title: Its heading.
        body: What stands below.
    """

    anchor: str
    title: str
    body: tuple[Markup, ...]

    @classmethod
    def of(cls, anchor: str, title: str, *body: Markup) -> Section:
        """A section of parts."""
        return cls(anchor, title, body)


def paragraph(*children: object, class_: str | None = None) -> Markup:
    """A paragraph of text and `Markup`."""
    return element("p", *children, class_=class_)


def wide(head: Sequence[object], rows: Iterable[Iterable[object]], groups: Sequence[tuple[str, int]] = ()) -> Markup:
    """A table that scrolls where the page is narrower.

    Args:
        head: Headings of the columns.
        rows: Of cells.
        groups: Headings above them, each with the number of columns it spans.
    """
    above = [Cell(text, attributes={"colspan": columns}) for text, columns in groups]
    return element("div", table(rows, head, groups=above), class_="scroll")


def row_head(text: object, *, long: bool = False, rows: int | None = None) -> Cell:
    """The cell that names its row.

    Args:
        text: The name.
        long: Whether it may be broken into lines.
        rows: How many rows it names; None for its own.
    """
    return Cell(text, "th", {"scope": "row", "class_": "words" if long else None, "rowspan": rows})


def words(text: object, *, rows: int | None = None) -> Cell:
    """A cell of text; others hold numbers and are aligned to the right. `rows` is how many it spans, None for one."""
    return Cell(text, attributes={"class_": "words", "rowspan": rows})


def shaded_score(value: float | None, text: str | None = None) -> Cell:
    """An AUROC, the fuller shaded the further above chance.

    Args:
        value: The AUROC; None for none.
        text: What to write instead of it, such as its interval too.
    """
    shade = None if value is None else (value - 0.5) / 0.5
    return _shaded(numbers.auroc(value) if text is None else text, shade)


def shaded_share(value: float | None) -> Cell:
    """A share that is good when it is large, the fuller shaded the larger."""
    return _shaded(numbers.percent(value), value)


def _shaded(text: str, shade: float | None) -> Cell:
    if shade is None:
        return Cell(text)
    return Cell(text, attributes={"class_": "shaded", "style": f"--shade:{_DEEPEST * min(max(shade, 0), 1):.2f}"})


def answer(text: str, *, good: bool | None) -> Cell:
    """A verdict in a word, marked by a sign too, since not everybody sees colours; None for neither good nor bad."""
    sign, tone = {
        True: ("\N{CHECK MARK} ", "good"),
        False: ("\N{MULTIPLICATION X} ", "bad"),
        None: ("", "neutral"),
    }[good]
    return Cell(f"{sign}{text}", attributes={"class_": f"words {tone}"})
