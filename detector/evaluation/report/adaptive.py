"""Sections about attackers who know the guard, and about how far the figures can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.report.lines import budget_curves, in_levels
from detector.reporting import numbers
from detector.reporting.drawing import figure
from detector.reporting.html import Cell
from detector.reporting.parts import Section, answer, paragraph, row_head, wide, words

if TYPE_CHECKING:
    from detector.evaluation.results import AdaptiveCurve, CurvePoint, EvaluationResults


def adaptive(results: EvaluationResults) -> Section:
    """Success of adaptive attacks over their budget."""
    title = "Attackers who know the guard"
    if not results.adaptive:
        return Section.of("adaptive", title, paragraph("No adaptive attack was run: nothing is known about them."))
    note = (
        "These attacks optimise against classifier and guard together. SR@5 is the share of images misclassified and "
        "not flagged when 5% of benign images are; SR@50 when half of them are. At large budgets an attack must win: "
        "one that doesn't is broken, and its curve proves nothing."
    )
    head = (
        "attack",
        words("against"),
        "images",
        "steps",
        "budget",
        "fooled",
        "SR@5",
        "SR@50",
        words("what the attacker does"),
    )
    drawn = [curve for curve in results.adaptive if curve.points]
    rows = [row for curve in results.adaptive for row in _rows(curve)]
    caption = "Each panel is an attack against a configuration of the guard, over rising budgets."
    charts = [figure(budget_curves(drawn), caption)] if drawn else []
    return Section.of("adaptive", title, paragraph(note), *charts, wide(head, rows))


def _rows(curve: AdaptiveCurve) -> list[list[object]]:
    """One row per budget; what holds for all of them spans them."""
    many = max(len(curve.points), 1)
    numbered = [Cell(f"{number:,}", attributes={"rowspan": many}) for number in (curve.images, curve.steps)]
    before = [row_head(curve.name, long=True, rows=many), words(curve.configuration, rows=many), *numbered]
    points = [_point(curve, point) for point in curve.points] or [[numbers.NOTHING] * 4]
    first, *others = points
    return [[*before, *first, words(curve.note, rows=many)], *others]


def _point(curve: AdaptiveCurve, point: CurvePoint) -> list[object]:
    budget = numbers.levels(point.budget) if in_levels(curve) else f"{point.budget:.3g}"
    return [budget, *map(numbers.percent, (point.fooled, point.sr5, point.sr50))]


def tramer(results: EvaluationResults) -> Section | None:
    """The half-radius check; None where it was not made."""
    check = results.tramer
    if check is None:
        return None
    text = (
        "A detector that is robust within a radius implies a classifier, if a slow one, that is robust within half of "
        "it (Tramer, arXiv 2107.11630). A claim that implies a better robust classifier than anybody has built is a "
        "sign of weak attacks."
    )
    rows = [
        (row_head("radius (Linf)"), numbers.levels(check.radius)),
        (row_head("robust with rejection, within the radius"), numbers.percent(check.robust_with_rejection)),
        (
            row_head("implied accuracy of a classifier, within half of it"),
            numbers.percent(check.implied_robust_at_half),
        ),
    ]
    return Section.of("tramer", "Half-radius check", paragraph(text), wide((), rows), paragraph(check.note))


def self_checks(results: EvaluationResults) -> Section:
    """Signs that would make the figures untrustworthy."""
    if not results.checks:
        return Section.of("self-checks", "Self-checks", paragraph("No self-checks were made."))
    note = "Signs of an evaluation that flatters, looked for in this run."
    rows = [
        (row_head(one.name), answer("passed" if one.passed else "failed", good=one.passed), words(one.finding))
        for one in results.checks
    ]
    table = wide(("check", words("result"), words("what was found")), rows)
    return Section.of("self-checks", "Self-checks", paragraph(note), table)
