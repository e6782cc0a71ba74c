"""On which examples architectures differ, drawn and in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import INK, LINE_STYLES, MUTED, SERIES, chart, figure, label, plain_numbers
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.difficulty.bias import significance
from detector.research.difficulty.showing import grid, grid_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.research.difficulty.bias import Difference, Significance
    from detector.research.difficulty.kinship import Kinship

_DOTS: Final = 500
"""Examples of smallest p drawn in a panel, and others: more would make the page heavy, and one blot."""
_DOT_HEIGHT: Final = 0.01  # of the highest: a piece without length is not drawn
_LEAST: Final = 1e-12  # a p-value below it is drawn there


@dataclass(frozen=True, eq=False)
class Pair:
    """Two architectures beside one another.

    Args:
        first: One.
        second: The other; the same for runs of one architecture, half beside half.
        kinship: What they differ in; None for runs of one.
        scores: Those that have ranks in every run of both.
        drawn: The one of them by which Welch's tests are drawn.
        found: What the tests say.
        level: Of significance.
    """

    first: str
    second: str
    kinship: Kinship | None
    scores: tuple[str, ...]
    drawn: str
    found: Difference
    level: float

    @property
    def name(self) -> str:
        """Of both."""
        return f"{self.first}, halves" if self.kinship is None else f"{self.first} / {self.second}"

    @property
    def joint(self) -> Significance:
        """By the permutation test of all scores together."""
        return significance(self.found.joint, self.level)

    def welch(self, score: str | None = None) -> Significance:
        """By Welch's tests of one score; None for the drawn one."""
        return significance(self.found.welch[self.scores.index(score or self.drawn)], self.level)


def bias_charts(pairs: Sequence[Pair], runs: int) -> dict[str, Markup]:
    """Its charts by name; arguments as of `bias_sections`."""
    told = f"n = {runs} runs each"
    between = [pair for pair in pairs if pair.kinship is not None]
    manhattan = _manhattan(between, told)
    return {"manhattan": manhattan, "tests": _tests(pairs, told)}


def bias_sections(
    pairs: Sequence[Pair],
    what: str,
    charts: Mapping[str, Markup],
    scores: Sequence[str],
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        pairs: All of them, and halves of one architecture as controls.
        what: Was analysed, in words.
        charts: As of `bias_charts`.
        scores: All of them, in order.
    """
    level, drawn = pairs[0].level, pairs[0].drawn
    return (
        Section.of(
            "bias",
            "Bias of architectures",
            paragraph(
                f"{what}. Two architectures differ on an example where their scores are further apart than those of "
                "runs that were dealt out to them at random. Scores are ranks within a run, as shares. Of runs of one "
                f"architecture, half beside half, {numbers.target(level)} should seem to differ, and no discovery be "
                "made."
            ),
            figure(
                charts["manhattan"],
                f"Welch's test of {drawn}: an example a dot (the {_DOTS:,} of smallest p and as many others, evenly "
                f"taken). Dashed: p = {level:g}. Line: from there on examples are discoveries of which that share is "
                "false (Benjamini and Hochberg); none where there are no discoveries.",
            ),
            figure(
                charts["tests"],
                f"The share of examples with a p-value up to each value, by Welch's test of {drawn}; dotted: of no "
                "difference at all. Above the dotted line at the left: sensitive examples.",
            ),
            _shares(pairs),
        ),
        Section.of(
            "bias-scores",
            "Bias, score by score",
            paragraph(f"The share of examples on which two architectures differ at p = {level:g}, by Welch's test:"),
            wide(["score", *(pair.name for pair in pairs)], [_row(pairs, score) for score in scores]),
        ),
    )


def _manhattan(pairs: Sequence[Pair], told: str) -> Markup:
    def paint(drawn: Figure) -> None:
        axes = grid(drawn, len(pairs))
        for axis, pair in zip(axes, pairs, strict=True):
            p_values = pair.found.welch[pair.scores.index(pair.drawn)]
            found = pair.welch()
            shown = _shown(p_values)
            _dots(axis, shown, _height(p_values[shown]))
            axis.axhline(_height(pair.level), color=MUTED, linewidth=0.9, linestyle="--")
            if found.line is not None:
                axis.axhline(_height(found.line), color=INK, linewidth=0.9)
            axis.set_title(f"{label(pair.first)}\n{label(pair.second)}, {told}")
            axis.set_xlabel("example")
        axes[0].set_ylabel("-log10 p")

    return chart("bias-manhattan", "p-values of all examples for every pair of architectures", _size(pairs), paint)


def _dots(axis: Any, along: NDArray[np.int64], heights: NDArray[np.float64]) -> None:
    """Dots as one line of short pieces with gaps between them: a fifth of the bytes that markers take."""
    gap = np.full(len(along), np.nan)
    across = np.stack([along, along, gap], axis=1).ravel()
    upwards = np.stack([heights, heights + _DOT_HEIGHT * heights.max(), gap], axis=1).ravel()
    axis.plot(across, upwards, color=SERIES[0], solid_capstyle="round")


def _shown(p_values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The examples that are drawn."""
    peaks = np.argsort(p_values, kind="stable")[:_DOTS]
    evenly = np.linspace(0, len(p_values) - 1, _DOTS).round().astype(np.int64)
    return np.union1d(peaks, evenly)


def _size(pairs: Sequence[Pair]) -> tuple[float, float]:
    width, height = grid_size(len(pairs))
    return width, height + 0.4


def _tests(pairs: Sequence[Pair], told: str) -> Markup:
    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        along = np.logspace(-4, 0, 60)
        for number, pair in enumerate(pairs):
            ordered = np.sort(pair.found.welch[pair.scores.index(pair.drawn)])
            shares = np.searchsorted(ordered, along, side="right") / len(ordered)
            _line(axis, along, shares, number, pair)
        axis.plot(along, along, color=MUTED, linestyle=":")
        axis.set_xscale("log")
        plain_numbers(axis.xaxis)
        axis.set_xlabel("p")
        axis.set_title(f"share of examples with a p-value up to p, {told}, halves of them for controls")
        drawn.legend(loc="outside right center")

    return chart("bias-tests", "distribution of p-values for every pair of architectures", (8.6, 3.6), paint)


def _line(axis: Any, along: NDArray[np.float64], shares: NDArray[np.float64], number: int, pair: Pair) -> None:
    style = LINE_STYLES[2] if pair.kinship is None else LINE_STYLES[number // len(SERIES) % 2]
    axis.plot(along, shares, color=SERIES[number % len(SERIES)], linestyle=style, label=label(pair.name))


def _height(p_values: Any) -> Any:
    return -np.log10(np.maximum(p_values, _LEAST))


def _shares(pairs: Sequence[Pair]) -> Markup:
    rows = []
    for pair in pairs:
        joint, single = pair.joint, pair.welch()
        shares = (joint.plain, joint.discovered, single.plain, single.discovered, single.certain)
        rows.append(
            [
                row_head(pair.name),
                "runs" if pair.kinship is None else pair.kinship.value,
                *(numbers.percent(share) for share in shares),
                f"{pair.found.ways:,}",
            ]
        )
    plain = f"p = {pairs[0].level:g}"
    columns = ("pair", "they differ in", plain, "discoveries", plain, "discoveries", "Bonferroni", "ways to deal out")
    return wide(
        columns,
        rows,
        groups=[("", 2), ("permutation, all scores", 2), (f"Welch, {pairs[0].drawn}", 3), ("", 1)],
    )


def _row(pairs: Sequence[Pair], score: str) -> list[object]:
    shares = (numbers.percent(pair.welch(score).plain if score in pair.scores else None) for pair in pairs)
    return [row_head(score), *shares]
