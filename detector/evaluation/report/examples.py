"""Single images with their walks: typical hits, misses and false alarms."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from detector.evaluation.report import lines
from detector.reporting import numbers
from detector.reporting.html import element
from detector.reporting.parts import Section, paragraph

if TYPE_CHECKING:
    from markupsafe import Markup

    from detector.evaluation.results import EvaluationResults, Example

_KINDS = {
    "hit": ("Hits", "Attacked images that were flagged."),
    "miss": ("Misses", "Attacked images that were let through."),
    "false alarm": ("False alarms", "Benign images that were flagged."),
}


def examples(results: EvaluationResults) -> Section:
    """All examples by kind, every walk on the same scale."""
    title = "Examples"
    if not results.examples:
        return Section.of("examples", title, paragraph("No examples were kept."))
    losses = [*chain.from_iterable(chain.from_iterable(one.losses.values()) for one in results.examples)] or [0.0]
    scale = (min(losses), max(losses))
    note = (
        "Each image with the loss of its predicted class on the way to the end of every path. The axes are the same "
        "throughout; below 0.01 nats they are linear."
    )
    body = [paragraph(note)]
    kinds = dict.fromkeys([*_KINDS, *(one.kind for one in results.examples)])
    for kind in kinds:
        cards = [_card(f"walk-{number}", one, scale) for number, one in enumerate(results.examples) if one.kind == kind]
        if cards:
            heading, text = _KINDS.get(kind, (kind, ""))
            body += [element("h3", heading), paragraph(text), element("div", *cards, class_="cards")]
    return Section.of("examples", title, *body)


def _card(name: str, example: Example, scale: tuple[float, float]) -> Markup:
    image = element(
        "img", alt=f"{example.kind}: {example.title}", src=f"data:image/png;base64,{example.png}", class_="pixels"
    )
    facts = f"score {numbers.nats(example.score)}, p-value {numbers.p_value(example.p_value)}"
    return element(
        "figure",
        element("figcaption", element("strong", example.title), ": ", facts),
        element("div", image, element("div", lines.walk(name, example, scale), class_="scroll"), class_="walk"),
        class_="card",
    )
