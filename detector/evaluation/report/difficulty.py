"""The section about difficulty: who pays for false alarms, and what it costs that nobody pays more than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.reporting import numbers
from detector.reporting.parts import Section, paragraph, row_head, wide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup

    from detector.evaluation.difficulty import DifficultyResult, DifficultyRow
    from detector.evaluation.results import EvaluationResults
    from detector.reporting.html import Cell

_TITLE = "False alarms by difficulty"


def difficulty(results: EvaluationResults) -> Section:
    """Rates in every bin of difficulty."""
    if not results.difficulty:
        return Section.of("difficulty", _TITLE, paragraph("Figures by difficulty were not computed."))
    strata = results.difficulty[0].strata
    thresholds = (
        f"This guard sets thresholds in each of {strata} strata of difficulty."
        if strata > 1
        else "This guard has one set of thresholds for easy and hard images alike."
    )
    note = (
        "A rate that holds on average may be kept by easy images at the cost of hard ones. "
        f"{thresholds} Beside its rates stand those of one set of thresholds for all images. Intervals are 95%; of "
        "several bins the worst looks worse than it is."
    )
    return Section.of("difficulty", _TITLE, paragraph(note), *_tables(results))


def _tables(results: EvaluationResults) -> Iterable[Markup]:
    for result in results.difficulty:
        yield paragraph(_by(result))
        yield wide(_head(results), [_row(result, row, at) for at, row in enumerate(result.rows)])


def _by(result: DifficultyResult) -> str:
    if result.labelled:
        return (
            f"By labelled difficulty, the {result.by}, which nobody has when serving. Attacked images are where the "
            "image was that they were made from."
        )
    return (
        f"By what the guard goes by, the {result.by}, which takes no label. Attacked images are where the attack has "
        "put them."
    )


def _head(results: EvaluationResults) -> tuple[str, ...]:
    suspect, adversarial = numbers.target(results.suspect_rate), numbers.target(results.adversarial_rate)
    return (
        "difficulty",
        "benign images",
        f"flagged at {suspect}",
        f"flagged at {adversarial}",
        f"at {suspect}, one set of thresholds",
        "attacked images",
        f"caught at {suspect}",
        f"caught at {adversarial}",
        f"at {suspect}, one set of thresholds",
        "AUROC of p-values",
    )


def _row(result: DifficultyResult, row: DifficultyRow, at: int) -> list[str | Cell]:
    return [
        row_head(_range(row, last=at == len(result.rows) - 1)),
        f"{row.suspect.total:,}",
        numbers.realised(row.suspect),
        numbers.realised(row.adversarial),
        numbers.realised(row.undivided),
        numbers.NOTHING if row.caught is None else f"{row.caught.total:,}",
        numbers.realised(row.caught),
        numbers.realised(row.caught_adversarial),
        numbers.realised(row.caught_undivided),
        numbers.NOTHING if row.auroc is None else numbers.estimate(row.auroc),
    ]


def _range(row: DifficultyRow, *, last: bool) -> str:
    """Where a bin lies: ``below 1.2``, ``1.2 to 3.4``, ``from 3.4``."""
    if row.low is None:
        return "all" if last or row.high is None else f"below {row.high:.3g}, the easiest"
    return f"from {row.low:.3g}, the hardest" if row.high is None else f"{row.low:.3g} to {row.high:.3g}"
