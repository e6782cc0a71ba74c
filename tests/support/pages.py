"""Reading an HTML page as a browser would."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "link", "br", "hr", "input"}
LINKING = {"src", "href", "srcset", "action", "data", "xlink:href", "poster", "background"}


@dataclass
class Page(HTMLParser):
    """What a browser would load and show; fails where tags aren't closed in order."""

    links: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [str(value) for name, value in attrs if name in LINKING]
        self.ids.update(str(value) for name, value in attrs if name == "id")
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open_tags):
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The cells after the one that holds `name`, of the first row that begins with it."""
        return next(row[1:] for row in self.rows if row and row[0] == name)


def read_page(html: str) -> Page:
    """Parse a whole file."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.open_tags == []
    return page
