"""The whole page, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.evaluation.report import adaptive, behaviour, closing, comparison, detection, examples, summary
from detector.evaluation.report.style import STYLE
from detector.html import element, page

if TYPE_CHECKING:
    from markupsafe import Markup

    from detector.evaluation.report.parts import Section
    from detector.evaluation.results import EvaluationResults

_TITLE: Final = "Isthmus evaluation"


def render_report(results: EvaluationResults) -> str:
    """Write the report: one HTML file that loads nothing, the same for the same results.

    Args:
        results: Everything the evaluation found; lists may be empty.

    Returns:
        The file's text.
    """
    sections = [
        summary.headline(results),
        summary.verdicts(results),
        detection.attacks(results),
        detection.roc(results),
        detection.distributions(results),
        comparison.channels(results),
        comparison.peers(results),
        behaviour.classes(results),
        behaviour.controls(results),
        behaviour.barriers(results),
        adaptive.adaptive(results),
        adaptive.tramer(results),
        adaptive.self_checks(results),
        examples.examples(results),
        closing.limits(results),
        closing.facts(results),
        closing.glossary(),
    ]
    present = [section for section in sections if section is not None]
    links = [element("a", section.title, href=f"#{section.anchor}") for section in present]
    return page(
        _TITLE,
        STYLE,
        element("h1", _TITLE),
        summary.summary(results),
        element("nav", *links, aria_label="Contents"),
        *map(_section, present),
    )


def _section(section: Section) -> Markup:
    heading = element("h2", section.title)
    return element("section", heading, *section.body, id=section.anchor)
