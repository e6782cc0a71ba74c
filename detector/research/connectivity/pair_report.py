"""Barriers of pairs for people, in sections of a report: of measured pairs and of published ones alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.paths.samples import Measure
from detector.reporting import numbers
from detector.reporting.drawing import figure
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, paragraph, row_head, shaded_score, wide, words
from detector.research.connectivity.statistics import FALSE_POSITIVES, FLAT, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markupsafe import Markup

    from detector.metrics import Estimate
    from detector.reporting.html import Cell
    from detector.research.connectivity.by_class import ClassRow
    from detector.research.connectivity.statistics import Contrast, Summary

_SMALL_LOSS: Final = 0.001
_MOST_DOTS: Final = 400  # of a kind: more are not told apart, and weigh on the page
_MOST_CLASSES: Final = 40


def barriers_section(
    anchor: str,
    title: str,
    summaries: Mapping[str, Summary],
    beside: Mapping[str, str],
    charts: Mapping[str, Markup],
    *more: Markup,
) -> Section:
    """How high barriers are, kind by kind.

    Args:
        anchor: Of the section.
        title: Of the section.
        summaries: By the kind's name, the reference first.
        beside: What is to be said of a kind beside its name.
        charts: As of `pair_charts`.
        more: What stands above the table.
    """
    caption = (
        "Barrier gap by kind of pair, how many pairs in brackets: boxes hold the middle half, lines the middle 90%; "
        "the dashed line is what 5% of the first kind pass."
    )
    return Section.of(anchor, title, *more, _barrier_table(summaries, beside), figure(charts["gaps"], caption))


def _barrier_table(summaries: Mapping[str, Summary], beside: Mapping[str, str]) -> Markup:
    head = (
        "pairs",
        "how many",
        "larger end-point loss, median",
        "barrier height, mean",
        "barrier gap, mean",
        "barrier gap, median",
        "area, mean",
        "position, median",
        f"no barrier (gap below {FLAT:g})",
    )
    rows = [
        [
            row_head(_named(name, beside.get(name, "")), long=True),
            f"{one.pairs:,}",
            numbers.loss(one.ends.median.value),
            numbers.loss_estimate(one.measures[Measure.HEIGHT].mean),
            numbers.loss_estimate(one.measures[Measure.GAP].mean),
            numbers.loss_estimate(one.measures[Measure.GAP].median),
            numbers.loss(one.measures[Measure.AREA].mean.value if Measure.AREA in one.measures else None),
            numbers.NOTHING if one.position is None else f"{one.position.median.value:.2f}",
            numbers.realised(one.flat),
        ]
        for name, one in summaries.items()
    ]
    return wide(head, rows)


def _named(name: str, note: str) -> Markup:
    return joined([name, element("small", note)] if note else [name])


def separation_section(anchor: str, reference: str, found: Mapping[str, Mapping[View, Contrast | None]]) -> Section:
    """How well each measure tells a kind from the reference, with and without what ends do to it."""
    note = (
        f"The chance that such a pair's value is larger than that of a pair {reference}, 0.5 being none, with 95% "
        "intervals (DeLong). Height, gap and area also grow with the loss at the ends themselves; so the comparison is "
        "made again with pairs whose ends are both of low loss, and with as many pairs of both kinds at every level "
        "of the larger end-point loss; what fewer than two pairs are left of is not shown. The last columns are the "
        "best single threshold on the gap, and the "
        f"share found where {numbers.target(FALSE_POSITIVES)} of the reference are flagged too."
    )
    measures = [
        m for m in Measure if any(one and m in one.measures for each in found.values() for one in each.values())
    ]
    head = ("pairs", words("compared"), "n + n", *measures, "balanced accuracy", "at nats", "found")
    groups = [("", 3), ("AUROC", len(measures)), ("the gap, by one threshold", 3)]
    there = {name: {view: one for view, one in views.items() if one is not None} for name, views in found.items()}
    rows = [
        [*([row_head(name, rows=len(views))] if place == 0 else []), words(view.value), *_separations(one, measures)]
        for name, views in there.items()
        for place, (view, one) in enumerate(views.items())
    ]
    return Section.of(anchor, "What tells pairs apart", paragraph(note), wide(head, rows, groups))


def _separations(one: Contrast, measures: Sequence[Measure]) -> Iterable[Cell | str]:
    gap = one.measures[Measure.GAP]
    return [
        f"{one.reference:,} + {one.pairs:,}",
        *(_auroc(one.measures[measure].auroc if measure in one.measures else None) for measure in measures),
        f"{gap.balanced_accuracy:.3f}",
        numbers.loss(gap.threshold),
        numbers.percent(gap.found),
    ]


def class_section(anchor: str, kind: str, rows: Sequence[ClassRow], p_value: float | None) -> Section:
    """The gap, class by class."""
    note = f"Gaps of the reference and of pairs {kind}, class by class, and how well the gap tells the two apart."
    if p_value is not None:
        note += f" That the reference's gaps are alike in all classes has a p-value of {p_value:.2g} (Kruskal-Wallis)."
    head = ("class", "reference", f"{kind}", "median gap, reference", f"median gap, {kind}", "AUROC of the gap")
    shown = [
        [
            row_head(one.name),
            f"{one.reference:,}",
            f"{one.pairs:,}",
            numbers.loss(one.reference_gap),
            numbers.loss(one.gap),
            _auroc(one.auroc),
        ]
        for one in rows[:_MOST_CLASSES]
    ]
    rest = [paragraph(f"The first {_MOST_CLASSES} of {len(rows)}.")] if len(rows) > _MOST_CLASSES else []
    return Section.of(anchor, "Class by class", paragraph(note), wide(head, shown), *rest)


def curves_figure(charts: Mapping[str, Markup]) -> Markup:
    """The loss along the paths; `charts` as of `pair_charts`, of pairs whose curves are known."""
    caption = (
        "The loss of the class along the straight path: the median of each kind, how many pairs in brackets, and the "
        "middle half shaded."
    )
    return figure(charts["curves"], caption)


def ends_figure(charts: Mapping[str, Markup]) -> Markup:
    """The gap over the larger end-point loss; `charts` as of `pair_charts`."""
    caption = (
        "Each dot is a pair: its gap over the larger loss of its ends. Kinds whose ends differ are to be compared "
        "where they are alike."
    )
    return figure(charts["ends"], caption)


def _auroc(estimate: Estimate | None) -> Cell:
    return shaded_score(None) if estimate is None else shaded_score(estimate.value, numbers.estimate(estimate))
