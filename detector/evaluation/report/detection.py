"""Sections about attacks that don't know the guard: table, ROC curves, distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.report.curves import roc_overview, roc_small
from detector.evaluation.report.distributions import p_value_charts, score_boxes
from detector.reporting import numbers
from detector.reporting.drawing import figure
from detector.reporting.parts import Section, paragraph, row_head, shaded_score, shaded_share, wide, words

if TYPE_CHECKING:
    from markupsafe import Markup

    from detector.evaluation.results import AttackResult, EvaluationResults


def attacks(results: EvaluationResults) -> Section:
    """One row per attack."""
    if not results.attacks:
        return Section.of("attacks", "Attacks", paragraph("No attack was run."))
    suspect, adversarial = numbers.target(results.suspect_rate), numbers.target(results.adversarial_rate)
    head = (
        "attack",
        words("kin"),
        words("knowledge"),
        words("norm"),
        "successes",
        "AUROC (interval)",
        f"TPR at {suspect}",
        f"TPR at {adversarial}",
        "AUROC",
        f"TPR at {suspect}",
        words("worst class"),
    )
    groups = (("", 5), ("included in training", 3), ("kin left out", 2), ("", 1))
    note = (
        "Only attacks that change the classifier's answer on an image it got right count, after rounding to whole "
        "pixel levels. Left out: the scorer was trained without the attack and its kin. Intervals are "
        "95%; fuller shades are better."
    )
    return Section.of("attacks", "Attacks", paragraph(note), wide(head, map(_row, results.attacks), groups))


def _row(one: AttackResult) -> list[object]:
    unseen = one.left_out
    worst = numbers.NOTHING
    if one.worst_class is not None:
        worst = f"{one.worst_class[0]} ({numbers.percent(one.worst_class[1])})"
    return [
        row_head(one.name),
        words(one.kin),
        words(one.knowledge),
        words(one.norm),
        f"{one.successful:,} of {one.attacked:,}",
        shaded_score(one.included.auroc.value, numbers.estimate(one.included.auroc)),
        shaded_share(one.included.tpr_suspect),
        shaded_share(one.included.tpr_adversarial),
        shaded_score(None if unseen is None else unseen.auroc.value),
        shaded_share(None if unseen is None else unseen.tpr_suspect),
        words(worst),
    ]


def roc(results: EvaluationResults) -> Section:
    """ROC curves of all attacks."""
    if not len(results.benign_scores) or not any(len(one.scores) for one in results.attacks):
        return Section.of("roc-curves", "ROC curves", paragraph("There are no attacked images to draw curves of."))
    few = (
        "Every attack against the benign test images, with the attacks of calibration in training. Left: the whole "
        "curve, the dotted line is chance. Right: the same with few false alarms stretched; the upright lines are the "
        f"targets of {numbers.target(results.adversarial_rate)} and {numbers.target(results.suspect_rate)}. Attacks of "
        "one kin share a colour and differ in the kind of line."
    )
    small = (
        "The right-hand panel again, an attack at a time; the upright line is the target of "
        f"{numbers.target(results.suspect_rate)}."
    )
    charts = (figure(roc_overview(results), few), figure(roc_small(results), small))
    return Section.of("roc-curves", "ROC curves", *charts)


def distributions(results: EvaluationResults) -> Section:
    """Scores and p-values."""
    body: list[Markup] = []
    if len(results.benign_scores):
        caption = (
            "Scores of benign test images and of each attack's successes (how many in brackets): the line spans 5% to "
            "95% of the images, the box the middle half, the stroke in it the median. Dashed: 95% of benign."
        )
        body.append(figure(score_boxes(results), caption))
    if len(results.benign_p_values):
        caption = (
            "Left: p-values of benign test images. A calibration that holds makes them uniform: all bins near the "
            "dashed line, most within the grey band. Right: the share of images at or below a p-value; benign ones "
            "should follow the dotted diagonal, attacked ones should rise at once."
        )
        body.append(figure(p_value_charts(results), caption))
    if not body:
        body.append(paragraph("No benign test images were scored."))
    return Section.of("distributions", "Scores and p-values", *body)
