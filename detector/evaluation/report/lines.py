"""Lines: adaptive attacks over their budget, and the loss along an image's paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from detector.reporting import numbers
from detector.reporting.drawing import LINE_STYLES, MUTED, SERIES, chart, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.evaluation.results import AdaptiveCurve, Example

_ABREAST = 3
_SMALL_LOSS = 0.01  # nats; below, the axis is linear
_MEASURES = (
    ("fooled", "classifier fooled", MUTED, ":", "."),
    ("sr5", "fooled and not flagged at 5% (SR@5)", SERIES[1], "-", "o"),
    ("sr50", "the same at 50% (SR@50)", SERIES[0], "--", "s"),
)


def in_levels(curve: AdaptiveCurve) -> bool:
    """Whether budgets are shown in 255ths: unless the attack's name says it is bounded in another norm than Linf."""
    return re.search(r"(?<![a-z0-9])l[012](?![0-9a-z])", curve.name.lower()) is None


def budget_curves(curves: Sequence[AdaptiveCurve]) -> Markup:
    """A panel per attack: what share of images it wins at every budget."""
    abreast = min(_ABREAST, len(curves))
    rows = -(-len(curves) // abreast)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(rows, abreast, squeeze=False, sharey=True)
        for axis in axes.flat[len(curves) :]:
            axis.set_visible(False)
        for axis, curve in zip(axes.flat, curves, strict=False):
            _budget_panel(axis, curve)
        for row in axes:
            row[0].set_ylabel("share of images")
        lines, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside upper center", ncols=len(_MEASURES))

    size = (3.5 * abreast if abreast > 1 else 6.0, 2.6 * rows + 0.4)
    return chart("budgets", "success of adaptive attacks over their budget", size, paint)


def _budget_panel(axis: Any, curve: AdaptiveCurve) -> None:
    linf = in_levels(curve)
    budgets = [point.budget * (255 if linf else 1) for point in curve.points]
    for field, name, colour, line, mark in _MEASURES:
        values = [getattr(point, field) for point in curve.points]
        axis.plot(budgets, values, line, color=colour, marker=mark, markersize=4, label=name)
    positive = [budget for budget in budgets if budget > 0]
    if positive and max(positive) > 4 * min(positive):
        axis.set_xscale("symlog", base=2, linthresh=min(positive))
    axis.set_xticks(budgets, [f"{budget:.3g}" if linf else f"{budget:.2g}" for budget in budgets])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_ylim(-0.03, 1.03)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axis.set_xlabel("budget (255ths, Linf)" if linf else "budget (distance on pixels in [0, 1])")
    axis.set_title(f"{label(curve.name)}\nagainst {label(curve.configuration)}")


def walk(name: str, example: Example, scale: tuple[float, float]) -> Markup:
    """The loss of the predicted class along every path of one image.

    Args:
        name: Of the chart, unique in the page.
        example: The image and its walk.
        scale: Smallest and largest loss of all that are to be compared.
    """

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for number, (path, losses) in enumerate(example.losses.items()):
            line = LINE_STYLES[number // len(SERIES) % len(LINE_STYLES)]
            colour = SERIES[number % len(SERIES)]
            axis.plot(example.alphas, losses, line, color=colour, marker=".", markersize=4, label=label(path))
        axis.set_yscale("symlog", linthresh=_SMALL_LOSS)
        axis.set_ylim(min(0.0, scale[0]), max(scale[1] * 1.5, _SMALL_LOSS))
        ticks = [0, *(10.0**power for power in range(-2, 4) if 10.0**power <= scale[1] * 1.5)]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("alpha: 0 is the image, 1 the path's end")
        axis.set_ylabel("path loss (nats)")
        if example.losses:
            figure.legend(loc="outside right center", fontsize=7)

    text = f"path loss of {example.title}, score {numbers.nats(example.score)}"
    return chart(name, text, (7.8, 2.3), paint)
