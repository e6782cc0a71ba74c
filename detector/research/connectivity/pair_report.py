"""Barriers of pairs for people: tables and charts, of measured pairs and of published ones alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.paths.samples import Measure
from detector.reporting import numbers
from detector.reporting.boxes import quantile_boxes
from detector.reporting.drawing import LINE_STYLES, SERIES, chart, figure, plain_numbers
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, paragraph, row_head, shaded_score, wide, words
from detector.research.connectivity.statistics import FALSE_POSITIVES, FLAT, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import Estimate
    from detector.paths.curves import LossCurves
    from detector.paths.samples import BarrierSample
    from detector.reporting.html import Cell
    from detector.research.connectivity.by_class import ClassRow
    from detector.research.connectivity.statistics import Contrast, Summary

_SMALL_LOSS: Final = 0.001
_MOST_DOTS: Final = 400  # of a kind: more are not told apart, and weigh on the page
_MOST_CLASSES: Final = 40


def barriers_section(
    anchor: str,
    title: str,
    samples: Mapping[str, BarrierSample],
    summaries: Mapping[str, Summary],
    beside: Mapping[str, str],
    *more: Markup,
) -> Section:
    """How high barriers are, kind by kind.

    Args:
        anchor: Of the section; charts are named after it.
        title: Of the section.
        samples: By the kind's name, the reference first.
        summaries: Of the same.
        beside: What is to be said of a kind beside its name.
        more: What stands above the table.
    """
    rows = [(name, sample.gaps) for name, sample in samples.items()]
    boxes = quantile_boxes(f"{anchor}-gaps", "distribution of barrier gaps by kind of pair", rows, "barrier gap (nats)")
    caption = (
        "Barrier gap by kind of pair, how many pairs in brackets: boxes hold the middle half, lines the middle 90%; "
        "the dashed line is what 5% of the first kind pass."
    )
    return Section.of(anchor, title, *more, _barrier_table(summaries, beside), figure(boxes, caption))


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


def curves_figure(anchor: str, curves: Mapping[str, LossCurves]) -> Markup:
    """The loss along the paths of each kind: its median, and where the middle half lies."""

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, (name, each) in enumerate(curves.items()):
            style: dict[str, Any] = {
                "color": SERIES[number % len(SERIES)],
                "linestyle": LINE_STYLES[number // len(SERIES)],
            }
            low, middle, high = np.quantile(each.losses, (0.25, 0.5, 0.75), axis=0)
            axis.plot(each.alphas, middle, label=f"{name} ({len(each.losses)})", **style)
            axis.fill_between(each.alphas, low, high, color=style["color"], alpha=0.13, linewidth=0)
        axis.set_yscale("symlog", linthresh=_SMALL_LOSS)
        plain_numbers(axis.yaxis)
        axis.set_ylim(bottom=0)
        axis.set_xlim(0, 1)
        axis.set_xlabel("alpha: 0 is the first of the pair, 1 the second")
        axis.set_ylabel("path loss (nats)")
        drawn.legend(loc="outside right center")

    chart_ = chart(f"{anchor}-curves", "loss along the path by kind of pair", (9.0, 3.6), paint)
    caption = (
        "The loss of the class along the straight path: the median of each kind, how many pairs in brackets, and the "
        "middle half shaded."
    )
    return figure(chart_, caption)


def ends_figure(anchor: str, samples: Mapping[str, BarrierSample]) -> Markup:
    """The gap over the larger end-point loss: what a comparison must not mistake for a barrier."""

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, (name, sample) in enumerate(samples.items()):
            some = slice(0, _MOST_DOTS)
            shown = min(len(sample), _MOST_DOTS)
            marker = "osD^v<>P"[number % 8]
            axis.plot(
                np.maximum(sample.ends[some], _SMALL_LOSS / 100),
                sample.gaps[some],
                marker,
                color=SERIES[number % len(SERIES)],
                markersize=2.6,
                alpha=0.55,
                label=f"{name} ({shown} of {len(sample)})",
            )
        axis.set_xscale("log")
        plain_numbers(axis.xaxis)
        axis.set_yscale("symlog", linthresh=_SMALL_LOSS)
        plain_numbers(axis.yaxis)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("larger end-point loss (nats)")
        axis.set_ylabel("barrier gap (nats)")
        drawn.legend(loc="outside right center")

    drawn = chart(f"{anchor}-ends", "barrier gap over end-point loss by kind of pair", (9.0, 3.4), paint)
    caption = (
        "Each dot is a pair: its gap over the larger loss of its ends. Kinds whose ends differ are to be compared "
        "where they are alike."
    )
    return figure(drawn, caption)


def _auroc(estimate: Estimate | None) -> Cell:
    return shaded_score(None) if estimate is None else shaded_score(estimate.value, numbers.estimate(estimate))
