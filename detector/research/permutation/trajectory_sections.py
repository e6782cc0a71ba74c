"""What the study of trajectories found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from detector.reporting import numbers
from detector.reporting.drawing import INK, MUTED, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph
from detector.research.permutation.hybrids import Hybrid
from detector.research.permutation.trajectories import NONE, TOGETHER
from detector.research.permutation.width_claims import CONNECTED

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.permutation.trajectories import Trajectory

_DEEPEST = 0.6  # opacity of the fullest cell; numbers stay readable on it


def trajectory_charts(found: Trajectory) -> dict[str, Markup]:
    """All charts of the study, by name."""
    return {"heat": _heat(found), "barriers": _lines(found), "final": _final(found), "hybrids": _hybrids(found)}


def trajectory_sections(found: Trajectory, charts: dict[str, Markup]) -> tuple[Section, ...]:
    """The study for people.

    Args:
        found: What was measured.
        charts: As of `trajectory_charts`.
    """
    n = f"n = {found.pairs} pairs; lines are means."
    return (
        Section.of(
            "trajectory",
            "One permutation for a whole training",
            paragraph(
                f"{found.what}. The weights of two networks are matched at each checkpoint, and every permutation that "
                "is found is applied at every checkpoint: a row is a permutation, a column the epoch where it is "
                "applied. 'All trained checkpoints' are matched together, by one permutation."
            ),
            figure(charts["heat"], f"n = {found.pairs} pairs; numbers are means."),
            figure(
                charts["barriers"],
                f"{n} The grey line is an error barrier of {CONNECTED:g}, called connected up to it.",
            ),
            figure(charts["final"], f"{n} Bars are 95 % intervals of the mean."),
        ),
        Section.of(
            "hybrids",
            "Which layers fix the permutation",
            paragraph(
                "Instead of the networks as they end, hybrids are matched: some layers are those of an early epoch, "
                "the others those of the end. What is drawn is the barrier of the networks as they end, permuted by "
                "what the hybrids gave."
            ),
            figure(
                charts["hybrids"],
                f"{n} Bottom-up: all layers up to this one are early; top-down: all from this one on; put in: this one "
                "alone; leave out: all but this one. Dotted: by the permutation of the early epoch and of the end.",
            ),
        ),
    )


def _heat(found: Trajectory) -> Markup:
    """Every permutation at every checkpoint: a cell, the fuller the higher the barrier."""
    values = np.array([found.errors(name) for name in found.names])
    most = max(float(values.max()), CONNECTED)

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for (row, column), value in np.ndenumerate(values):
            shade = _DEEPEST * max(value, 0) / most
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=SERIES[1], alpha=shade, linewidth=0))
            axis.text(column, row, numbers.loss(value), ha="center", va="center", fontsize=8)
        axis.set_xlim(-0.5, len(found.epochs) - 0.5)
        axis.set_ylim(len(found.names) - 0.5, -0.5)
        axis.grid(visible=False)
        axis.set_xticks(range(len(found.epochs)), [str(epoch) for epoch in found.epochs])
        axis.set_yticks(range(len(found.names)), found.names)
        axis.set_xlabel("epoch at which it is applied")
        axis.set_ylabel("permutation of")
        axis.set_title(f"error barrier, training images, mean of {found.pairs} pairs")

    return chart("trajectory-heat", "error barrier of every permutation at every epoch", (7.0, 4.0), paint)


def _lines(found: Trajectory) -> Markup:
    shown = (NONE, *(f"epoch {epoch}" for epoch in found.epochs), TOGETHER)

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, 2, sharey=True)
        for axis, held_out in zip(axes, (False, True), strict=True):
            for place, name in enumerate(shown):
                shade = 0.25 + 0.75 * place / (len(shown) - 1)
                look = {NONE: (SERIES[6], ":"), TOGETHER: (SERIES[1], "--")}.get(name, (SERIES[0], "-"))
                axis.plot(
                    found.epochs,
                    found.errors(name, held_out=held_out),
                    color=look[0],
                    linestyle=look[1],
                    alpha=1 if name in {NONE, TOGETHER} else shade,
                    marker="o",
                    markersize=3.5,
                    label=name,
                )
            axis.axhline(CONNECTED, color=INK, linewidth=0.7, alpha=0.5)
            axis.set_xlabel("epoch at which it is applied")
            axis.set_title(f"error barrier, {'held-out' if held_out else 'training'} images, n = {found.pairs}")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside right center", title="permutation of")

    return chart("trajectory-barriers", "error barrier of permutations over training", (8.6, 3.4), paint)


def _final(found: Trajectory) -> Markup:
    values = [one.value for one in found.final]
    errors = [[one.value - one.low for one in found.final], [one.high - one.value for one in found.final]]

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        axis.errorbar(found.epochs, values, yerr=errors, color=SERIES[0], marker="o", markersize=3.5, capsize=2)
        axis.set_ylim(0, 1.02)
        axis.set_xlabel("epoch of the permutation")
        axis.set_title(f"share of units matched as at the end, n = {found.pairs} pairs")

    return chart("trajectory-final", "share of matches that are already the last ones, by epoch", (5.0, 2.8), paint)


def _hybrids(found: Trajectory) -> Markup:
    early = range(found.arrays["hybrids"].shape[1])
    last = found.at_end(f"epoch {found.epochs[-1]}").value

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, len(early), sharey=True, squeeze=False)[0]
        for axis, which in zip(axes, early, strict=True):
            for place, kind in enumerate(Hybrid):
                axis.plot(
                    found.layers,
                    found.hybrid_errors(which, kind),
                    color=SERIES[place],
                    marker="o",
                    markersize=3.5,
                    label=kind.value,
                )
            first = found.at_end(f"epoch {found.epochs[which]}").value
            for level in (first, last):
                axis.axhline(level, color=MUTED, linewidth=0.8, linestyle=":")
            axis.set_title(f"error barrier at the end, layers of epoch {found.epochs[which]}, n = {found.pairs}")
            axis.tick_params(axis="x", rotation=30)
        axes[0].legend()

    return chart("trajectory-hybrids", "error barrier of permutations that hybrids give", (8.6, 3.4), paint)
