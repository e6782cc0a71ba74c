"""HTML for people, written by code: every text is escaped unless it is `Markup` already (MarkupSafe)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VOID = frozenset({"img", "input", "meta"})


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """One element with its children in order.

    Args:
        tag: Its name.
        children: Text, which is escaped, or `Markup`.
        attributes: Underscores stand for hyphens, one at the end for nothing (``class_``, ``aria_label``); their values
            are escaped. None leaves an attribute out.
    """
    given = [
        Markup(' {}="{}"').format(name.removesuffix("_").replace("_", "-"), value)
        for name, value in attributes.items()
        if value is not None
    ]
    opening = Markup("<{}{}>").format(tag, joined(given))
    return opening if tag in _VOID else opening + joined(children) + Markup("</{}>").format(tag)


def joined(parts: Iterable[object]) -> Markup:
    """Parts one after the other, text escaped."""
    return Markup("").join(str(part) if not isinstance(part, Markup) else part for part in parts)


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        content: Text or `Markup`.
        tag: ``td``, or ``th`` for a heading.
        attributes: Of the element, named as for `element`.
    """

    content: object
    tag: str = "td"
    attributes: Mapping[str, object] = field(default_factory=dict)


def table(
    rows: Iterable[Iterable[object]], head: Iterable[object] = (), *, groups: Iterable[Cell] = (), **attributes: object
) -> Markup:
    """A table.

    Args:
        rows: Of cells, or of what stands in them.
        head: Headings of the columns, cells or what stands in them; none for no row of headings.
        groups: Headings of several columns each (``colspan``), above `head`.
        attributes: Of the table.
    """
    above = [_row(_heading(cell, "colgroup") for cell in groups)] if groups else []
    headings = [_row(_heading(given, "col") for given in head)] if head else []
    thead = [element("thead", *above, *headings)] if above or headings else []
    return element("table", *thead, element("tbody", *map(_row, rows)), **attributes)


def _row(cells: Iterable[object]) -> Markup:
    written = (given if isinstance(given, Cell) else Cell(given) for given in cells)
    return element("tr", *(element(cell.tag, cell.content, **cell.attributes) for cell in written))


def _heading(given: object, scope: str) -> Cell:
    cell = given if isinstance(given, Cell) else Cell(given)
    return Cell(cell.content, "th", {**cell.attributes, "scope": scope})


def picture(png: bytes, text: str, **attributes: object) -> Markup:
    """A PNG file within the page.

    Args:
        png: The file.
        text: What stands for it where it can't be seen.
        attributes: Of the element.
    """
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return element("img", alt=text, src=source, **attributes)


def page(title: str, style: str, *body: object, refresh: int | None = None) -> str:
    """A whole file that needs nothing but itself, and that a browser lets load nothing else.

    Args:
        title: Of the window.
        style: CSS, trusted.
        body: Text or `Markup`.
        refresh: Seconds after which a browser loads it again; None for never.
    """
    alone = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=alone),
        *([] if refresh is None else [element("meta", http_equiv="refresh", content=refresh)]),
        element("title", title),
        element("style", Markup(style)),  # noqa: S704 - written by this package
    )
    return str(Markup("<!doctype html>") + element("html", head, element("body", *body), lang="en") + "\n")
