"""Principal components of scores, drawn and in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import LINE_STYLES, MUTED, SERIES, chart, figure, label
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.difficulty.components import KEPT
from detector.research.difficulty.showing import whole_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import Estimate
    from detector.research.difficulty.components import Components

_MARKERS = "osD^v<>"


def components_charts(found: Mapping[str, tuple[Sequence[str], Components]], runs: int) -> dict[str, Markup]:
    """Its charts by name; arguments as of `components_sections`."""
    order = list(dict.fromkeys(score for scores, _ in found.values() for score in scores))

    def shares(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, (name, (_, one)) in enumerate(found.items()):
            axis.plot(
                np.arange(1, one.kept + 1),
                np.cumsum(one.shares)[: one.kept],
                color=SERIES[number % len(SERIES)],
                linestyle=LINE_STYLES[number // len(SERIES) % len(LINE_STYLES)],
                marker="o",
                markersize=3,
                label=label(name),
            )
        axis.axhline(KEPT, color=MUTED, linewidth=0.8, linestyle="--")
        whole_numbers(axis.xaxis)
        axis.set_ylim(0, 1.03)
        axis.set_xlabel("components")
        axis.set_title(f"share of the variance that they hold together, n = {runs} runs averaged first")
        axis.legend()

    def loadings(drawn: Figure) -> None:
        axes = drawn.subplots(1, 2, sharey=True, sharex=True)
        for component, axis in enumerate(axes):
            for number, (name, (scores, one)) in enumerate(found.items()):
                axis.plot(
                    one.loadings[:, component],
                    [order.index(score) for score in scores],
                    color=SERIES[number % len(SERIES)],
                    marker=_MARKERS[number % len(_MARKERS)],
                    markersize=4,
                    linestyle="none",
                    label=label(name),
                )
            axis.axvline(0, color=MUTED, linewidth=0.8)
            axis.set_xlim(-1.05, 1.05)
            axis.set_xlabel(f"correlation with component {component + 1}")
        axes[0].set_yticks(range(len(order)), [label(score) for score in order])
        axes[0].set_ylim(len(order) - 0.5, -0.5)
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3)

    return {
        "shares": chart("components-shares", "variance held by the first components", (6.4, 3.2), shares),
        "loadings": chart(
            "components-loadings",
            "correlation of every score with the first two components",
            (8.0, 0.19 * len(order) + 1.3),
            loadings,
        ),
    }


def components_sections(
    found: Mapping[str, tuple[Sequence[str], Components]], what: str, charts: Mapping[str, Markup]
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        found: Of each architecture the scores that have ranks, and their components.
        what: Was analysed, in words.
        charts: As of `components_charts`.
    """
    rows = [
        [
            row_head(name),
            len(scores),
            numbers.percent(float(one.shares[0])),
            numbers.percent(float(one.shares[1])),
            _share(one.single),
            one.kept,
            f"{one.mean_correlation:.2f}",
        ]
        for name, (scores, one) in found.items()
    ]
    head = ["architecture", "scores", "first", "second", "first, single runs", f"for {KEPT:.0%}", "mean |correlation|"]
    return (
        Section.of(
            "components",
            "Principal components",
            paragraph(
                f"{what}. Every score is averaged over runs, scaled alike, and what all scores together vary in is cut "
                "into components that don't correlate. If there is one notion of difficulty the first holds most, and "
                "all scores correlate with it in one direction, since all are oriented: higher is harder."
            ),
            wide(head, rows, groups=[("", 2), ("share of the variance", 3), ("", 2)]),
            paragraph("In brackets: 95 % intervals of the mean over runs. Last column: of pairs of different scores."),
            figure(charts["shares"], f"Components are drawn until they hold {KEPT:.0%} of the variance."),
            figure(charts["loadings"], "Each score's correlation with the two components that hold most."),
        ),
    )


def _share(estimate: Estimate) -> str:
    low, high = numbers.percent(estimate.low), numbers.percent(estimate.high)
    return f"{numbers.percent(estimate.value)} ({low} to {high})"
