"""The quality/cost front: AUROC against classifier forwards per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from detector.evaluation.report.contenders import Contender, Kind, Overall
from detector.reporting.drawing import INK, MUTED, PAPER, SERIES, chart, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

_MARKS = {Kind.GUARD: ("*", SERIES[1], 13), Kind.CHANNEL: ("o", SERIES[0], 6), Kind.PEER: ("s", SERIES[2], 5)}
_LEAST_GAP = 0.055
"""Between names, as a share of the axis."""
_NAME_WIDTH = 2.3
"""Ratio of costs that a name spans, written on the logarithmic axis."""
_LEAST_COST = 0.5


class _Standing(NamedTuple):
    contender: Contender
    over: Overall

    @property
    def cost(self) -> float:
        """Forwards, on an axis that has no zero."""
        return max(self.contender.forwards, _LEAST_COST)


def quality_cost(contenders: Sequence[Contender]) -> Markup:
    """Mean AUROC (filled) and worst (hollow) against forwards per image, attacks included and left out.

    Args:
        contenders: At least one of them met an attack.
    """
    included = [_Standing(one, one.included) for one in contenders if one.included is not None]
    left_out = [_Standing(one, one.left_out) for one in contenders if one.left_out is not None]

    def paint(figure: Figure) -> None:
        axes = figure.subplots(2, 1, sharey=True)
        for axis, standings, title in zip(
            axes, (included, left_out), ("attacks included in training", "kin left out of training"), strict=True
        ):
            axis.set_title(title)
            axis.set_ylabel("AUROC: mean (filled), worst (hollow)")
            if standings:
                _front(axis, standings)
        axes[1].set_xlabel("classifier forwards per image")
        lowest = min(one.over.worst for one in (*included, *left_out))
        axes[0].set_ylim(max(0.0, lowest - 0.04), 1.02)
        for axis, standings in zip(axes, (included, left_out), strict=True):
            _name(axis, standings)
        for kind, (mark, colour, size) in _MARKS.items():
            axes[0].plot([], [], mark, color=colour, markersize=size, label=kind.value)
        axes[0].plot([], [], color=MUTED, linewidth=0.9, linestyle="--", label="best mean for the cost")
        figure.legend(loc="outside upper center", ncols=4)

    return chart("front", "AUROC against forwards per image, of the guard, its parts and its peers", (10.5, 7.6), paint)


def _front(axis: Any, standings: Sequence[_Standing]) -> None:
    ordered = sorted(standings, key=lambda one: one.cost)
    for one in ordered:
        mark, colour, size = _MARKS[one.contender.kind]
        worst, mean = one.over.worst, one.over.mean
        axis.plot([one.cost, one.cost], [worst, mean], color=colour, linewidth=0.7, alpha=0.6)
        axis.plot(one.cost, worst, mark, color=colour, markerfacecolor="none", markersize=size)
        axis.plot(one.cost, mean, mark, color=colour, markersize=size)
    costs = [one.cost for one in ordered]
    best = np.maximum.accumulate([one.over.mean for one in ordered])
    axis.step(costs, best, where="post", color=MUTED, linewidth=0.9, linestyle="--", zorder=1)
    axis.set_xscale("log")
    least, most = costs[0], costs[-1]
    axis.set_xlim(least / 1.5, most * 2.5)  # room for names at the right
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= most * 1.5]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)


def _name(axis: Any, standings: Sequence[_Standing]) -> None:
    """Names beside the means, pushed apart where they would overlap, with a line back to their mark."""
    low, high = axis.get_ylim()
    gap = _LEAST_GAP * (high - low)
    columns: list[list[_Standing]] = []
    for one in sorted(standings, key=lambda one: one.cost):
        if columns and one.cost <= _NAME_WIDTH * columns[-1][-1].cost:
            columns[-1].append(one)
        else:
            columns.append([one])
    for column in columns:
        column.sort(key=lambda one: one.over.mean)
        places = _apart([one.over.mean for one in column], gap, high)
        right = max(one.cost for one in column)
        for one, place in zip(column, places, strict=True):
            axis.annotate(
                label(one.contender.name),
                (one.cost, one.over.mean),
                (right * 1.2, place),
                va="center",
                fontsize=7.5,
                color=INK,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
            )


def _apart(values: Sequence[float], gap: float, high: float) -> list[float]:
    """Rising values moved up as little as leaves `gap` between them, then down together where they'd leave the axis."""
    places: list[float] = []
    for value in values:
        places.append(max(value, places[-1] + gap) if places else value)
    ceiling = high - gap / 2
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places
