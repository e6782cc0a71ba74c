"""Charts as inline SVG whose colours are the page's CSS variables, so that they follow light, dark and paper."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from detector.reporting.html import element
from detector.reporting.page_style import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

PAPER: Final = "#010100"
INK: Final = "#010101"
MUTED: Final = "#010102"
GRID: Final = "#010103"
SERIES: Final = tuple(f"#0102{number:02x}" for number in range(7))
"""Stand-ins that matplotlib draws with; `_variables` says what they become."""
LINE_STYLES: Final = ("-", "--", ":", "-.")

_VARIABLES: Final = {PAPER: "var(--paper)", INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)"} | {
    colour: f"var(--c{number})" for number, colour in enumerate(SERIES)
}
_REFERENCE: Final = re.compile(r"^(?:url\()?#([^)]+)\)?$")
_LONG_NUMBER: Final = re.compile(r"\d+\.\d{3,}")
_LONGEST_LABEL = 40
_PIXELS_PER_INCH = 96
_PIXELS_PER_POINT = 96 / 72
_STYLE: Final[dict[Any, Any]] = {  # matplotlib types its keys as one long Literal
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and is small
    "text.parse_math": False,  # names are not formulas
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


def chart(name: str, text: str, size: tuple[float, float], paint: Callable[[Figure], None]) -> Markup:
    """Draw one chart.

    Args:
        name: Unique in the page, a word; every id within the chart starts with it.
        text: What it shows, for those who can't see it.
        size: Width and height, inches; wider ones than the page are scaled down.
        paint: Draws on an empty figure, with the colours of this module.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has glyphs for what matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(stream.getvalue())  # noqa: S314 - matplotlib wrote it, and labels are escaped
    _adapt(root, name)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": text,
        "style": f"width:{size[0] * _PIXELS_PER_INCH:.0f}px",
    }
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, thus escaped


def standalone(drawn: Markup) -> str:
    """A chart as an SVG file of its own, in the colours that it has on a page."""
    root = ET.fromstring(str(drawn))  # noqa: S314 - `chart` wrote it
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        **{name: value for name, value in root.attrib.items() if name != "style"},
        "width": f"{float(width) * _PIXELS_PER_POINT:.0f}",
        "height": f"{float(height) * _PIXELS_PER_POINT:.0f}",
    }
    style = ET.Element("style")
    style.text = PALETTE + "svg{font-family:system-ui,sans-serif;background:var(--paper)}"
    root.insert(0, style)
    return ET.tostring(root, encoding="unicode") + "\n"


def _adapt(root: ET.Element, name: str) -> None:
    """Make it part of a page: no name spaces, no rule for all elements, ids of its own, colours of the page; small."""
    for rules in [parent for parent in root.iter() if any(child.tag.endswith("}style") for child in parent)]:
        rules.clear()
    used = {match for node in root.iter() for value in node.attrib.values() for match in _REFERENCE.findall(value)}
    for node in root.iter():
        node.tag = node.tag.partition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
        node.attrib = {
            key: _adapted(key, value, name) for key, value in attributes.items() if key != "id" or value in used
        }
        node.tail = None
        if node.tag != "text":
            node.text = None


def _adapted(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "style":
        plain = re.sub("font-family: [^;]*;? ?", "", value)
        return re.sub("#[0-9a-f]{6}", lambda match: _VARIABLES.get(match[0], match[0]), plain)
    if _REFERENCE.search(value):
        return value.replace("#", f"#{name}-")
    return _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.2f}", value)


def label(text: str) -> str:
    """A name that fits on a chart: on one line, without what XML can't hold, cut when it is long."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= _LONGEST_LABEL else clean[: _LONGEST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"


def plain_numbers(axis: Any) -> None:
    """Write the numbers of a logarithmic axis (``figure.axes[0].xaxis``) as they are, not as formulas."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def figure(drawn: Markup, caption: object) -> Markup:
    """A chart with the words below it."""
    return element("figure", element("div", drawn, class_="scroll"), element("figcaption", caption))
