"""What the study of width found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.reporting import numbers
from detector.reporting.drawing import INK, LINE_STYLES, SERIES, chart, figure, plain_numbers
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.permutation.width_claims import CONNECTED
from detector.research.permutation.width_job import SETS, Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import Estimate
    from detector.research.permutation.widths import Widths

_LEAST_LOSS = 0.02  # nats: below it the axis is linear
_STYLES = {
    Comparison.NAIVE: (SERIES[6], LINE_STYLES[0]),
    Comparison.DIRECT: (SERIES[0], LINE_STYLES[0]),
    Comparison.REFERENCE: (SERIES[1], LINE_STYLES[0]),
    Comparison.CYCLE: (SERIES[3], LINE_STYLES[2]),
    Comparison.ACTIVATIONS: (SERIES[0], LINE_STYLES[1]),
    Comparison.ACTIVATIONS_REFERENCE: (SERIES[1], LINE_STYLES[1]),
}


def width_charts(measured: Widths) -> dict[str, Markup]:
    """All charts of the study, by name."""
    return {"barriers": _barriers(measured), "three": _three(measured), "matched": _matched(measured)}


def width_sections(measured: Widths, charts: dict[str, Markup]) -> tuple[Section, ...]:
    """The study for people.

    Args:
        measured: What was found.
        charts: As of `width_charts`.
    """
    n = f"n = {measured.triples} triples of networks at each width; bars and brackets are 95 % intervals of the mean."
    return (
        Section.of(
            "width",
            "Barriers against width",
            paragraph(
                f"{measured.what}. Three networks A, B and C that differ in their seeds are compared: A and B as they "
                "are; A and P[B], permuted to match A; A and B each permuted to match C, which asks nothing of the "
                "two; and A with itself after it was matched to C, C to B and B to A. The barrier of a pair is the "
                "most by which a mixture of their weights loses against its share of the two."
            ),
            figure(
                charts["barriers"],
                f"{n} The grey line is an error barrier of {CONNECTED:g}, up to which networks are called connected.",
            ),
            _table(measured),
        ),
        Section.of(
            "three",
            "Three networks at once",
            figure(
                charts["three"],
                f"{n} Left: mixtures of A, B and C, both permuted to match C: the worst that was drawn from the "
                "triangle, and the mean of all three. Right: accuracy of single networks and of that mean.",
            ),
        ),
        Section.of(
            "matched",
            "Which units are matched",
            figure(
                charts["matched"],
                f"{n} The share of units of B that are matched to the same unit of A through C and directly. Units "
                "without any weight are not counted. By weights the way from A over C and B back to A leaves as many "
                "in place, since matching C to B undoes matching B to C.",
            ),
        ),
    )


def _lines(axis: Any, widths: Sequence[int], estimates: Sequence[Estimate], **look: Any) -> None:
    """One line with its intervals."""
    values = [one.value for one in estimates]
    below = [one.value - max(one.low, 0.0) if one.value > 0 else 0.0 for one in estimates]
    above = [one.high - one.value for one in estimates]
    axis.errorbar(widths, values, yerr=[below, above], marker="o", markersize=3.5, capsize=2, elinewidth=0.8, **look)


def _of_widths(axis: Any, widths: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    plain_numbers(axis.xaxis)
    axis.set_xticks(widths, [str(width) for width in widths])
    axis.set_xlabel("width")


def _barriers(measured: Widths) -> Markup:
    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(2, 2, sharex=True)
        for row, (error, least) in enumerate(((True, CONNECTED), (False, _LEAST_LOSS))):
            for axis, held_out in zip(axes[row], (False, True), strict=True):
                for which, (colour, style) in _STYLES.items():
                    found = measured.barrier(which, error=error, held_out=held_out)
                    _lines(axis, measured.widths, found, color=colour, linestyle=style, label=which.value)
                axis.set_yscale("symlog", linthresh=least)
                plain_numbers(axis.yaxis)
                axis.set_ylim(bottom=0)
                what = "error barrier" if error else "loss barrier (nats)"
                axis.set_title(f"{what}, {SETS[held_out]}, n = {measured.triples} triples")
                if error:
                    axis.axhline(CONNECTED, color=INK, linewidth=0.7, alpha=0.5)
                _of_widths(axis, measured.widths)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3)

    return chart("width-barriers", "error and loss barriers against width, for every comparison", (8.6, 6.2), paint)


def _three(measured: Widths) -> Markup:
    def paint(drawn: Figure) -> None:
        left, right = drawn.subplots(1, 2)
        for place, style in zip(range(len(SETS)), LINE_STYLES, strict=False):
            worst, middle = measured.worst(held_out=bool(place)), measured.of("middle", place, 1)
            for found, colour, label in ((worst, SERIES[1], "worst mixture"), (middle, SERIES[0], "mean of three")):
                _lines(left, measured.widths, found, color=colour, linestyle=style, label=f"{label}, {SETS[place]}")
        left.axhline(CONNECTED, color=INK, linewidth=0.7, alpha=0.5)
        left.set_yscale("symlog", linthresh=CONNECTED)
        plain_numbers(left.yaxis)
        left.set_ylim(bottom=0)
        left.set_title(f"error barrier, n = {measured.triples} triples")
        for colour, name, label in ((SERIES[6], "single", "single network"), (SERIES[0], "merged", "mean of three")):
            right.plot(
                measured.widths, _accuracies(measured, name), color=colour, marker="o", markersize=3.5, label=label
            )
        right.set_title("held-out accuracy")
        for axis in (left, right):
            _of_widths(axis, measured.widths)
            axis.legend()

    return chart("width-three", "barriers of three networks, and the accuracy of their mean", (8.6, 3.4), paint)


def _accuracies(measured: Widths, name: str) -> list[float]:
    return [1 - one.value for one in measured.of(name, 1, 1)]


def _matched(measured: Widths) -> Markup:
    names = ("by weights", "by activations")

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for place, name in enumerate(names):
            _lines(axis, measured.widths, measured.of("agreement", place), color=SERIES[place], label=name)
        axis.set_ylim(bottom=0)
        axis.set_title(f"share of units matched alike through C and directly, n = {measured.triples} triples")
        _of_widths(axis, measured.widths)
        axis.legend()

    return chart(
        "width-matched",
        "share of units that are matched alike through a third network and directly, against width",
        (6.0, 3.4),
        paint,
    )


def _table(measured: Widths) -> Markup:
    merged = measured.of("middle", 0, 1)
    columns = [
        *((which.value, measured.barrier(which)) for which in Comparison),
        ("mean of three", merged),
        ("loss, A to P[B]", measured.barrier(Comparison.DIRECT, error=False)),
        ("loss, through C", measured.barrier(Comparison.REFERENCE, error=False)),
        ("matched alike", measured.of("agreement", 0)),
    ]
    single, mean = (_accuracies(measured, name) for name in ("single", "merged"))
    return wide(
        ["width", *(name for name, _ in columns), "held-out accuracy, single", "mean of three"],
        [
            [
                row_head(width),
                *(numbers.loss_estimate(found[row]) for _, found in columns),
                numbers.percent(single[row]),
                numbers.percent(mean[row]),
            ]
            for row, width in enumerate(measured.widths)
        ],
        groups=[
            ("", 1),
            ("error barrier, training images", len(Comparison) + 1),
            ("loss barrier (nats)", 2),
            ("units", 1),
            ("", 2),
        ],
    )
