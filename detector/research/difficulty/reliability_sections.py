"""How many runs make scores reliable, drawn and in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.reporting import numbers
from detector.reporting.drawing import SERIES, chart, figure, label
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.difficulty.reliability import TARGETS
from detector.research.difficulty.showing import grid, grid_size, highlights, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.difficulty.reliability import Reliability


def reliability_charts(found: Mapping[str, Mapping[str, Reliability]], runs: int) -> dict[str, Markup]:
    """Its charts by name; arguments as of `reliability_sections`."""
    shown = highlights(list(dict.fromkeys(score for scores in found.values() for score in scores)), 5)

    def paint(drawn: Figure) -> None:
        axes = grid(drawn, len(found))
        for axis, (name, scores) in zip(axes, found.items(), strict=True):
            for number, score in enumerate(shown):
                if score in scores:
                    one, colour = scores[score], SERIES[number]
                    along = range(1, one.most + 1)
                    axis.plot(along, one.averaged, color=colour, marker="o", markersize=3, label=label(score))
                    axis.fill_between(along, one.low, one.high, color=colour, alpha=0.15, linewidth=0)
                    axis.plot(along, one.prophecy, color=colour, linestyle=":", linewidth=1)
            axis.set_title(f"{label(name)}, n = {runs} runs")
            whole_numbers(axis.xaxis)
            axis.set_xlabel("runs averaged")
        axes[0].set_ylabel("correlation with as many others")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=5)

    text = "reliability against the number of runs that are averaged"
    return {"runs": chart("reliability-runs", text, grid_size(len(found)), paint)}


def reliability_sections(
    found: Mapping[str, Mapping[str, Reliability]],
    ranked: Mapping[str, Mapping[str, Reliability]],
    what: str,
    charts: Mapping[str, Markup],
    scores: Sequence[str],
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        found: Of each architecture, each score that has ranks.
        ranked: The same where runs' ranks are averaged in the place of their values.
        what: Was analysed, in words.
        charts: As of `reliability_charts`.
        scores: All of them, in order; those without ranks in some run have dashes.
    """
    half = next(one.most for ones in found.values() for one in ones.values())
    columns = [
        "single runs",
        f"means of {half}",
        "of ranks",
        "foretold",
        *(f"runs for {target:g}" for target in TARGETS),
    ]
    return (
        Section.of(
            "reliability",
            "How many runs are enough",
            paragraph(
                f"{what}. The correlation of a score with itself in another run; of the mean of some runs with that of "
                "as many others; and how many runs a wanted correlation takes by the formula of Spearman and Brown. "
                "Of ranks: where the ranks that runs give are averaged, not their values. In brackets: 95 % intervals "
                "over runs."
            ),
            figure(
                charts["runs"],
                "Lines: measured on disjoint groups of runs; bands: where 90 % of the drawn groups lie. Dotted: what "
                "Spearman and Brown's formula makes of single runs.",
            ),
            wide(
                ["score", *(column for _ in found for column in columns)],
                [
                    [row_head(score), *(cell for name in found for cell in _cells(found[name], ranked[name], score))]
                    for score in scores
                ],
                groups=[("", 1), *((name, len(columns)) for name in found)],
            ),
        ),
    )


def _cells(ones: Mapping[str, Reliability], ranked: Mapping[str, Reliability], score: str) -> list[str]:
    if score not in ones:
        return [numbers.NOTHING] * (4 + len(TARGETS))
    one = ones[score]
    single = f"{one.single.value:.2f} ({one.single.low:.2f} to {one.single.high:.2f})"
    needed = (one.needed(target) for target in TARGETS)
    return [
        single,
        f"{one.best:.2f}",
        f"{ranked[score].best:.2f}",
        f"{one.prophecy[-1]:.2f}",
        *(numbers.NOTHING if runs is None else f"{runs:,}" for runs in needed),
    ]
