"""Sections about images nobody attacked, and about single classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.report.bars import control_rates
from detector.reporting import numbers
from detector.reporting.drawing import figure
from detector.reporting.parts import Section, answer, paragraph, row_head, wide, words

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults
    from detector.metrics import RealisedRate
    from detector.reporting.html import Cell


def classes(results: EvaluationResults) -> Section:
    """False and true positives per class."""
    if not results.classes:
        return Section.of("classes", "Classes", paragraph("Figures per class were not computed."))
    note = (
        f"At the SUSPECT rate of {numbers.target(results.suspect_rate)}: benign images flagged, by predicted class, "
        "and successfully attacked ones flagged, all attacks together, by their class before the attack. Intervals are "
        "95%."
    )
    head = ("class", "benign images", "flagged", "attacked images", "flagged")
    rows = [
        [
            row_head(one.label),
            f"{one.false_positives.total:,}",
            numbers.realised(one.false_positives),
            numbers.NOTHING if one.true_positives is None else f"{one.true_positives.total:,}",
            numbers.realised(one.true_positives),
        ]
        for one in results.classes
    ]
    return Section.of("classes", "Classes", paragraph(note), wide(head, rows))


def controls(results: EvaluationResults) -> Section:
    """How often images nobody attacked are flagged."""
    title = "Controls: images nobody attacked"
    if not results.controls:
        return Section.of("controls", title, paragraph("No controls were run."))
    note = (
        "Corrupted, misclassified and foreign images are no attacks. A guard that flags them much more often than its "
        "target reports strangeness rather than attacks. The mark says whether twice the target is kept."
    )
    suspect, adversarial = results.suspect_rate, results.adversarial_rate
    head = (
        "images",
        "how many",
        "classifier's accuracy",
        f"SUSPECT, target {numbers.target(suspect)}",
        words(""),
        f"ADVERSARIAL, target {numbers.target(adversarial)}",
        words(""),
    )
    rows = [
        [
            row_head(one.name),
            f"{one.suspect.total:,}",
            numbers.percent(one.accuracy),
            numbers.realised(one.suspect),
            _kept(one.suspect, suspect),
            numbers.realised(one.adversarial),
            _kept(one.adversarial, adversarial),
        ]
        for one in results.controls
    ]
    caption = (
        "Shares flagged with their 95% intervals; the upright lines are the targets, the dotted one twice SUSPECT's."
    )
    drawn = figure(control_rates(results.controls, suspect, adversarial), caption)
    return Section.of("controls", title, paragraph(note), wide(head, rows), drawn)


def barriers(results: EvaluationResults) -> Section | None:
    """Barriers between two images; None where none were measured."""
    if not results.barriers:
        return None
    note = (
        "The loss of one end's class along the straight path between two images: its height, and its gap, by how much "
        "it passes the larger loss of the two ends. An AUROC of 0.5 says that such pairs have the gaps of two real "
        "images of one class. Two real images of different classes are the control: what attacks do must go beyond "
        "what another class does."
    )
    head = ("pairs", "how many", "median height, nats", "median gap, nats", "AUROC of the gap against one class")
    rows = [
        [
            row_head(one.name, long=True),
            f"{one.pairs:,}",
            *(
                numbers.NOTHING if value is None else f"{value:.3f}"
                for value in (one.median_height, one.median_gap, one.auroc_gap_vs_same_class)
            ),
        ]
        for one in results.barriers
    ]
    return Section.of("barriers", "Barriers between two images", paragraph(note), wide(head, rows))


def _kept(rate: RealisedRate, target: float) -> Cell:
    """Whether twice the target is kept, and how many times the target it is where not."""
    if rate.total == 0:
        return answer(numbers.NOTHING, good=None)
    times = rate.rate / target
    kept = times <= 2  # noqa: PLR2004 - twice
    return answer("kept" if kept else f"{times:.1f} times", good=kept)
