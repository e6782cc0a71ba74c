"""Charts of barriers of pairs, of measured pairs and of published ones alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.reporting.boxes import quantile_boxes
from detector.reporting.drawing import LINE_STYLES, SERIES, chart, plain_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.paths.curves import LossCurves
    from detector.paths.samples import BarrierSample

_SMALL_LOSS: Final = 0.001
_MOST_DOTS: Final = 400  # of a kind: more are not told apart, and weigh on the page


def pair_charts(
    anchor: str, samples: Mapping[str, BarrierSample], curves: Mapping[str, LossCurves] | None = None
) -> dict[str, Markup]:
    """All charts of pairs, by name: `gaps`, `ends` and, where they are given, `curves`.

    Args:
        anchor: What the charts are named after.
        samples: By the kind's name, the reference first.
        curves: Of the same.
    """
    rows = [(name, sample.gaps) for name, sample in samples.items()]
    text = "distribution of barrier gaps by kind of pair"
    charts = {
        "gaps": quantile_boxes(f"{anchor}-gaps", text, rows, "barrier gap (nats)"),
        "ends": _ends(anchor, samples),
    }
    return charts if curves is None else {**charts, "curves": _curves(anchor, curves)}


def _curves(anchor: str, curves: Mapping[str, LossCurves]) -> Markup:
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

    return chart(f"{anchor}-curves", "loss along the path by kind of pair", (9.0, 3.6), paint)


def _ends(anchor: str, samples: Mapping[str, BarrierSample]) -> Markup:
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

    return chart(f"{anchor}-ends", "barrier gap over end-point loss by kind of pair", (9.0, 3.4), paint)
