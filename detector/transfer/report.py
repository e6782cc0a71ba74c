"""The report of a transfer: the decision, what it rests on, and what would have changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.reporting import numbers
from detector.reporting.boxes import quantile_boxes
from detector.reporting.document import document
from detector.reporting.drawing import INK, SERIES, chart, figure
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, answer, paragraph, row_head, wide, words
from detector.transfer.decision import Choice
from detector.transfer.evidence import Finding, Subject
from detector.transfer.rates import flagged_rate, targets

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import RealisedRate
    from detector.reporting.html import Cell
    from detector.transfer.decision import Decision
    from detector.transfer.evidence import Evidence
    from detector.transfer.measuring import TransferMeasurements
    from detector.transfer.thresholds import NewThresholds

_TITLE = "Carrying a calibration over"
_HEADINGS = {
    Choice.KEEP: "Keep the calibration",
    Choice.RE_THRESHOLD: "Keep the detector, set its thresholds anew",
    Choice.RECALIBRATE: "Calibrate anew",
}
_COUNTS = frozenset({Subject.SCORER, Subject.ROOM})
_SHARES = frozenset({Subject.AGREEMENT, Subject.ACCURACY, Subject.PROTOTYPES, Subject.RATE, Subject.NEW_RATE})


def render_report(
    measured: TransferMeasurements,
    decision: Decision,
    evidence: Evidence,
    thresholds: NewThresholds | None,
    command: str,
) -> str:
    """Write the report: one HTML file that loads nothing.

    Args:
        measured: Scores, for the charts.
        decision: What was decided.
        evidence: All findings.
        thresholds: The new ones, where they were set.
        command: What calibrates anew.
    """
    sections = [_why(decision, command), _evidence_table(evidence)]
    if measured.misfit is None:
        sections += [_scores(measured), _rates(measured, thresholds)]
    return document(_TITLE, _summary(measured, decision), sections)


def _summary(measured: TransferMeasurements, decision: Decision) -> Markup:
    old, loaded, sample = measured.bundle, measured.inputs.new.loaded, measured.inputs.sample
    facts = (
        f"From the bundle {old.digest[:16]} to the classifier {loaded.source_digest[:16]}, on {len(sample)} labelled "
        "images that neither was made with."
    )
    return joined(
        [element("p", element("strong", f"{_HEADINGS[decision.choice]}. "), decision.because), paragraph(facts)]
    )


def _why(decision: Decision, command: str) -> Section:
    body: list[Markup] = []
    for choice, reasons in decision.against.items():
        body.append(
            paragraph(f"To choose \N{LEFT DOUBLE QUOTATION MARK}{choice.value}\N{RIGHT DOUBLE QUOTATION MARK}:")
        )
        body.append(element("ul", *(element("li", reason) for reason in reasons)))
    if decision.choice is Choice.RECALIBRATE:
        body += [paragraph("This calibrates anew:"), element("pre", command)]
    else:
        rests = "; ".join(f"{finding.name}: {finding.wanted}" for finding in decision.supports)
        body.append(paragraph(f"The decision rests on, and would fall without: {rests}."))
    return Section.of("why", "What would change the decision", *body)


def _evidence_table(evidence: Evidence) -> Section:
    rows = [
        [
            row_head(finding.name, long=True),
            _figure(finding),
            words(finding.wanted or numbers.NOTHING),
            _outcome(finding),
            words(finding.sentence),
        ]
        for finding in evidence
    ]
    head = [words(text) for text in ("evidence", "figure", "has to be", "holds?", "in words")]
    note = paragraph("Intervals are 95 %. What has no say is there to be read: it does not enter the decision.")
    return Section.of("evidence", "Evidence", note, wide(head, rows))


def _figure(finding: Finding) -> str:
    if finding.figure is None:
        return numbers.NOTHING
    if finding.subject in _COUNTS:
        return f"{finding.figure:.0f}"
    written = numbers.percent if finding.subject in _SHARES else numbers.loss
    if finding.low is None or finding.high is None:
        return written(finding.figure)
    return f"{written(finding.figure)} ({written(finding.low)}\N{EN DASH}{written(finding.high)})"


def _outcome(finding: Finding) -> Cell:
    if finding.figure is None:
        return answer("not measured", good=None)
    return answer({True: "yes", False: "no", None: "no say"}[finding.holds], good=finding.holds)


def _scores(measured: TransferMeasurements) -> Section:
    old, new = measured.old.scores, measured.new.scores
    assert old is not None, "sections of scores are for scorers that can read"
    assert new is not None, "likewise"
    rows = [
        ("calibration of the bundle", measured.bundle.parts.calibration.scores),
        ("sample, old classifier", old),
        ("sample, new classifier", new),
    ]
    drawn = quantile_boxes("scores", "distributions of benign scores", rows, "score (nats)")
    caption = (
        "Scores of benign images, how many in brackets: boxes hold the middle half, lines the middle 90%; the dashed "
        "line is what 5% of the calibration images pass."
    )
    return Section.of("scores", "Scores before and after", figure(drawn, caption))


def _rates(measured: TransferMeasurements, thresholds: NewThresholds | None) -> Section:
    wanted = targets(measured.bundle.manifest.rates)
    before, after = (measured.p_values(walked) for walked in (measured.old, measured.new))
    rows: list[tuple[str, RealisedRate, float]] = []
    for verdict, target in wanted:
        rows.append((f"{verdict.value}: old classifier", flagged_rate(before, target), target))
        rows.append((f"{verdict.value}: new, old thresholds", flagged_rate(after, target), target))
        if thresholds is not None:
            rows.append((f"{verdict.value}: new, new thresholds", thresholds.realised[verdict.value], target))

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, (_, rate, target) in enumerate(rows):
            axis.plot([rate.low, rate.high], [place, place], color=SERIES[0], linewidth=2)
            axis.plot([rate.rate], [place], marker="o", markersize=5, color=SERIES[0])
            axis.plot([target, target], [place - 0.35, place + 0.35], color=INK, linewidth=1.6)
        axis.set_yticks(range(len(rows)), [f"{name} ({rate.total})" for name, rate, _ in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlim(0, 1.1 * float(np.max([(rate.high, target) for _, rate, target in rows])))
        axis.grid(visible=False, axis="y")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.set_xlabel("benign images flagged")

    drawn = chart("rates", "realised false-positive rates with their intervals", (8.5, 0.3 * len(rows) + 0.8), paint)
    caption = (
        "Benign images that are flagged, of how many in brackets: dots are realised rates, lines their 95% intervals, "
        "upright strokes the targets."
    )
    table = wide(
        ("", "realised", "of images", "target"),
        [
            [row_head(name), numbers.realised(rate), f"{rate.total:,}", numbers.target(target)]
            for name, rate, target in rows
        ],
    )
    return Section.of("rates", "False-positive rates before and after", figure(drawn, caption), table)
