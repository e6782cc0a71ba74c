"""A report as one page: its sections in order, with links to them above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.reporting.html import element, page
from detector.reporting.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from detector.reporting.parts import Section


def document(title: str, summary: Markup, sections: Sequence[Section]) -> str:
    """Write a report: one HTML file that loads nothing.

    Args:
        title: Of the page.
        summary: What stands below it.
        sections: The rest, each linked to from above.
    """
    links = [element("a", section.title, href=f"#{section.anchor}") for section in sections]
    return page(
        title,
        STYLE,
        element("h1", title),
        summary,
        element("nav", *links, aria_label="Contents"),
        *map(_section, sections),
    )


def _section(section: Section) -> Markup:
    heading = element("h2", section.title)
    return element("section", heading, *section.body, id=section.anchor)
