"""What the study of training found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from detector.reporting import numbers
from detector.reporting.drawing import INK, MUTED, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.shards.stages import Arrays


def untrained_section(arrays: Arrays, what: str, classes: int) -> Section:
    """Paths between modes of untrained networks, round by round.

    Args:
        arrays: As of `untrained_job`.
        what: Of which networks, how many, on what.
        classes: How many there are.
    """
    heights = arrays["heights"].reshape(-1, arrays["heights"].shape[2])
    rounds = np.arange(heights.shape[1])

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        axis.plot(rounds, heights.T, color=MUTED, linewidth=0.6, alpha=0.5)
        axis.plot(rounds, heights.mean(axis=0), color=SERIES[0], marker="o", label="mean of all pairs")
        axis.axhline(arrays["ends"].mean(), color=INK, linewidth=0.8, linestyle=":", label="mean loss of the modes")
        _logarithmic(axis)
        axis.set_xticks(rounds, ["straight", *(f"round {number}" for number in rounds[1:])])
        axis.set_ylabel("largest loss on the path (nats)")
        axis.set_title(f"n = {len(heights)} pairs of modes")
        axis.legend()

    return Section.of(
        "untrained",
        "Untrained networks",
        paragraph(
            f"{what}, before any training: the largest loss on the path between two modes of a class, straight and "
            "after each round of bypasses. Every segment is bypassed in every round."
        ),
        figure(
            chart("untrained", "largest loss on the path after each round of bypasses", (6.0, 3.2), paint),
            "A thin line is a pair. No path can pass below the losses of the modes themselves.",
        ),
        paragraph(
            "Where modes are kept within [0, 1], the worse of a pair has a loss of "
            f"{arrays['boxed_ends'].mean():.2f} nats on average; chance is {np.log(classes):.2f}."
        ),
    )


def evolution_section(arrays: Arrays, at: Sequence[int], what: str) -> Section:
    """Barriers between modes over training.

    Args:
        arrays: As of `evolution_job`.
        at: The steps.
        what: Of which networks, how many, on what.
    """
    networks, _, pairs = arrays["heights"].shape
    return Section.of(
        "evolution",
        "The barrier over training",
        paragraph(f"{what}; at every checkpoint new modes are made, and the straight paths between them walked."),
        figure(
            _drawn(arrays, at, networks * pairs),
            f"Lines are means, bands one standard deviation, of {networks * pairs} pairs; accuracy of {networks} "
            "networks on images they are not trained on.",
        ),
        wide(
            ("step", "barrier height", "deviation", "loss of the modes", "area", "cosine", "distance", "accuracy"),
            [
                [
                    row_head(step),
                    f"{arrays['heights'][:, i].mean():.2g}",
                    f"{arrays['heights'][:, i].std():.2g}",
                    *(f"{arrays[name][:, i].mean():.2g}" for name in ("ends", "areas")),
                    f"{arrays['cosines'][:, i].mean():.2f}",
                    f"{arrays['distances'][:, i].mean():.1f}",
                    numbers.percent(float(arrays["accuracies"][:, i].mean())),
                ]
                for i, step in enumerate(at)
            ],
        ),
    )


def _logarithmic(axis: Any) -> None:
    """A logarithmic axis of losses; matplotlib's own numbers on it are formulas, which charts don't set."""
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _drawn(arrays: Arrays, at: Sequence[int], count: int) -> Markup:
    panels = (
        ("heights", "barrier height (nats)", True),
        ("areas", "area under the loss (nats)", True),
        ("cosines", "cosine of the two modes", False),
        ("accuracies", "test accuracy", False),
    )

    def paint(drawn: Figure) -> None:
        for axis, (name, title, logarithmic) in zip(drawn.subplots(2, 2).flat, panels, strict=True):
            values = np.moveaxis(arrays[name], 1, 0).reshape(len(at), -1)
            mean, deviation = values.mean(axis=1), values.std(axis=1)
            axis.plot(at, mean, color=SERIES[0], marker="o", markersize=4)
            low = np.maximum(mean - deviation, values.min(axis=1)) if logarithmic else mean - deviation
            axis.fill_between(at, low, mean + deviation, color=SERIES[0], alpha=0.2, linewidth=0)
            if logarithmic:
                _logarithmic(axis)
            axis.set_xscale("symlog", linthresh=1, linscale=0.3)
            axis.set_xticks(at, map(str, at))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("steps of training")
            axis.set_title(f"{title}, n = {values.shape[1] if name == 'accuracies' else count}")

    return chart("evolution", "barrier height, area, cosine and accuracy over training", (8.6, 5.2), paint)
