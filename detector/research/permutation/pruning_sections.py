"""What the study of pruning found, drawn and in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import INK, LINE_STYLES, SERIES, chart, figure, plain_numbers
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.permutation.pruned_pairs import ERROR, KINDS, by_level
from detector.research.permutation.pruning_jobs import Alignment, Masking
from detector.research.permutation.width_claims import CONNECTED
from detector.research.permutation.width_job import SETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.research.permutation.pruned_pairs import PrunedPairs

_UNITS = ("loss barrier (nats)", "error barrier")


def pruning_charts(found: PrunedPairs) -> dict[str, Markup]:
    """Its charts by name."""
    charts = {"barriers": _barriers(found), "agreement": _agreement(found)}
    return charts | {"transport": _transport(found)} if found.has_transport else charts


def pruning_sections(found: PrunedPairs, charts: Mapping[str, Markup]) -> tuple[Section, ...]:
    """Its sections.

    Args:
        found: What was measured.
        charts: As of `pruning_charts`.
    """
    sections = [_barrier_section(found, charts)]
    if found.has_transport:
        sections.append(_transport_section(found, charts["transport"]))
    return tuple(sections)


def _barrier_section(found: PrunedPairs, charts: Mapping[str, Markup]) -> Section:
    errors = {(a, s): by_level(found.barriers(a, held_out=bool(s))) for a in Alignment for s in range(len(SETS))}
    alike = [None, *by_level(found.agreement)]
    singles = by_level(found.singles(held_out=True))
    return Section.of(
        "pruning",
        "Pruned networks",
        paragraph(
            f"{found.what}: at each level the weights of least magnitude are pruned, and what is left is trained again "
            "from an early step. Barriers between the two networks of a pair: as they are, with the permutation that "
            "matches the dense networks at every level, and with one that is found anew at each."
        ),
        figure(charts["barriers"], f"n = {found.pairs} pairs; lines are means, bars 95% intervals (Student's t)."),
        figure(charts["agreement"], f"n = {found.pairs} pairs; units without a weight that is left are not counted."),
        wide(
            ["density", "error of a network", *(SETS[s] for _ in Alignment for s in range(len(SETS))), "matched alike"],
            [
                [
                    row_head(f"{share:.3f}"),
                    numbers.percent(singles[level].value),
                    *(f"{errors[a, s][level].value:.3f}" for a in Alignment for s in range(len(SETS))),
                    numbers.NOTHING if one is None else f"{one.value:.2f}",
                ]
                for level, (share, one) in enumerate(zip(found.densities, alike, strict=True))
            ],
            groups=[("", 2), *((f"error barrier, {alignment}", len(SETS)) for alignment in Alignment), ("", 1)],
        ),
    )


def _transport_section(found: PrunedPairs, drawn: Markup) -> Section:
    errors = {masking: by_level(found.transported(masking)) for masking in Masking}
    return Section.of(
        "transport",
        "Masks carried to another network",
        paragraph(
            "The second network of each pair is trained from its own rewound weights under its own mask, under that of "
            "the first network carried over by the permutation of the dense networks, under the same mask as it "
            "stands, and under one that leaves as much of each layer at random."
        ),
        figure(drawn, f"n = {found.pairs} networks; lines are means, bars 95% intervals (Student's t)."),
        wide(
            ["density", *Masking],
            [
                [row_head(f"{share:.3f}"), *(numbers.percent(errors[masking][level].value) for masking in Masking)]
                for level, share in enumerate(found.densities[1:])
            ],
            groups=[("", 1), ("held-out error under the mask", len(Masking))],
        ),
    )


def _barriers(found: PrunedPairs) -> Markup:
    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(2, len(SETS), sharex=True, sharey="row")
        for kind, row in zip(reversed(range(len(KINDS))), axes, strict=True):
            for place, axis in enumerate(row):
                for number, alignment in enumerate(Alignment):
                    values = found.barriers(alignment, kind=kind, held_out=bool(place))
                    _line(axis, found.densities, values, number, alignment)
                if kind == ERROR:
                    axis.axhline(CONNECTED, color=INK, linewidth=0.8, linestyle=":")
                axis.set_title(f"{_UNITS[kind]}, {SETS[place]} images, n = {found.pairs}")
        _falling(axes[1], found.densities)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(Alignment))

    return chart("pruning-barriers", "barriers between pruned networks against their density", (8.6, 5.4), paint)


def _agreement(found: PrunedPairs) -> Markup:
    def paint(drawn: Figure) -> None:
        left, right = drawn.subplots(1, 2, sharex=True)
        _line(left, found.densities[1:], found.agreement, 0, "")
        left.set_ylim(bottom=0)
        left.set_title(f"units matched as by the dense permutation, n = {found.pairs}")
        for place, name in enumerate(SETS):
            _line(right, found.densities, found.singles(held_out=bool(place)), place, f"{name} images")
        right.set_title(f"error of a network, mean of a pair's two, n = {found.pairs}")
        right.legend()
        _falling((left, right), found.densities)

    return chart("pruning-agreement", "agreement of permutations and error against density", (8.6, 3.0), paint)


def _transport(found: PrunedPairs) -> Markup:
    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, masking in enumerate(Masking):
            _line(axis, found.densities[1:], found.transported(masking), number, masking)
        axis.set_title(f"held-out error of networks trained under masks, n = {found.pairs}")
        axis.legend()
        _falling((axis,), found.densities[1:])

    return chart("pruning-transport", "error of networks trained under masks of others", (6.0, 3.2), paint)


def _line(axis: Any, densities: NDArray[np.float64], values: NDArray[np.float64], number: int, name: str) -> None:
    """Means over pairs, with bars; lines are told apart by their strokes too."""
    means = by_level(values)
    middle = np.array([one.value for one in means])
    bars = np.array([[one.value - one.low for one in means], [one.high - one.value for one in means]])
    axis.errorbar(
        densities,
        middle,
        bars,
        color=SERIES[number],
        linestyle=LINE_STYLES[number % len(LINE_STYLES)],
        marker="o",
        markersize=3,
        elinewidth=0.7,
        label=name,
    )


def _falling(axes: Sequence[Any], densities: NDArray[np.float64]) -> None:
    """Densities from left to right as they fall, each level as far from the next."""
    for axis in axes:
        axis.set_xscale("log")
        plain_numbers(axis.xaxis)
        axis.set_xticks(densities[::2], [f"{share:.2g}" for share in densities[::2]])
        axis.set_xlabel("share of weights that is left")
    axes[0].invert_xaxis()
