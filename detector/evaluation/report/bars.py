"""Bars and dots: what every channel adds, and how often images nobody attacked are flagged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter

from detector.reporting import numbers
from detector.reporting.drawing import SERIES, chart, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.evaluation.report.contenders import Contender
    from detector.evaluation.results import Control

_CHANCE = 0.5


def channel_bars(channels: Sequence[Contender]) -> Markup:
    """Mean AUROC of every set of channels, attacks included and left out, from chance upwards."""

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, one in enumerate(channels):
            for shift, over, colour in ((-0.19, one.included, SERIES[0]), (0.19, one.left_out, SERIES[1])):
                if over is not None:
                    axis.barh(place + shift, over.mean - _CHANCE, left=_CHANCE, height=0.36, color=colour, alpha=0.8)
                    end = max(over.mean, _CHANCE)
                    axis.text(end + 0.004, place + shift, numbers.auroc(over.mean), va="center", fontsize=8)
        axis.set_yticks(
            range(len(channels)), [f"{label(one.name)}\n{numbers.forwards(one.forwards)} forwards" for one in channels]
        )
        axis.set_ylim(len(channels) - 0.5, -0.5)
        axis.set_xlim(right=1.04)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("mean AUROC (0.5 is chance)")
        for name, colour in (("attacks included in training", SERIES[0]), ("kin left out of training", SERIES[1])):
            axis.barh(0, 0, color=colour, alpha=0.8, label=name)
        figure.legend(loc="outside upper center", ncols=2)

    size = (9.0, 0.55 * len(channels) + 0.9)
    return chart("channels", "mean AUROC of the guard with ever more evidence", size, paint)


def control_rates(controls: Sequence[Control], suspect: float, adversarial: float) -> Markup:
    """Rates of flagging with their intervals, beside the targets and twice the SUSPECT target."""

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for target, colour in ((suspect, SERIES[0]), (adversarial, SERIES[1])):
            axis.axvline(target, color=colour, linewidth=1)
        axis.axvline(2 * suspect, color=SERIES[0], linewidth=1, linestyle=":")
        for shift, name, colour, mark in (
            (-0.16, "suspect", SERIES[0], "o"),
            (0.16, "adversarial", SERIES[1], "D"),
        ):
            for place, one in enumerate(controls):
                rate = one.suspect if name == "suspect" else one.adversarial
                if rate.total:
                    axis.plot([rate.low, rate.high], [place + shift] * 2, color=colour, linewidth=1.4)
                    axis.plot(rate.rate, place + shift, mark, color=colour, markersize=4)
            axis.plot([], [], mark, color=colour, markersize=4, label=f"flagged {name.upper()}, and its target")
        axis.plot([], [], color=SERIES[0], linewidth=1, linestyle=":", label="twice the SUSPECT target")
        axis.set_yticks(range(len(controls)), [label(one.name) for one in controls])
        axis.set_ylim(len(controls) - 0.5, -0.5)
        axis.set_xlim(left=0)
        axis.grid(visible=False, axis="y")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.target(round(value, 4))))
        axis.set_xlabel("images flagged, with 95% intervals")
        figure.legend(loc="outside upper center", ncols=3)

    size = (9.0, 0.32 * len(controls) + 0.9)
    return chart("controls", "how often images nobody attacked are flagged", size, paint)
