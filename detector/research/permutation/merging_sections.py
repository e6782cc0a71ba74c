"""What the study of merging found, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.evaluation.comparing import (
    ACCURACY,
    ALARMS,
    AUROC,
    EVADED,
    FIGURES,
    LEFT_AUROC,
    LEFT_TPR,
    MOVED,
    TPR,
)
from detector.reporting import numbers
from detector.reporting.drawing import INK, SERIES, chart, figure
from detector.reporting.html import element
from detector.reporting.parts import Section, paragraph, row_head, wide, words
from detector.research.permutation.combining import ENSEMBLE, MERGED
from detector.research.permutation.guards import SINGLE
from detector.research.permutation.merging_barriers import BAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import Estimate
    from detector.research.permutation.combining import Combined
    from detector.research.permutation.guards import Guards

_COLUMNS = (ACCURACY, ALARMS, AUROC, TPR, LEFT_AUROC, LEFT_TPR, MOVED, EVADED)


@dataclass(frozen=True, eq=False)
class Family:
    """Networks of one origin.

    Args:
        name: Their origin, in words that follow "networks".
        combined: What became of them.
        guards: Their guards; None where none were compared.
    """

    name: str
    combined: Combined
    guards: Guards | None

    @property
    def single_accuracy(self) -> float:
        """The mean accuracy of the networks themselves, 0..1."""
        return 1 - float(self.combined.barriers.corners[:, 1].mean())

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return {**self.combined.to_json(), "guards": None if self.guards is None else self.guards.to_json()}


def merging_charts(families: Sequence[Family]) -> dict[str, Markup]:
    """All charts of the study, by name."""
    found = {"barriers": _barriers(families)}
    guarded = [family for family in families if family.guards is not None]
    return {**found, "guards": _differences(guarded)} if guarded else found


def merging_sections(families: Sequence[Family], charts: dict[str, Markup], what: str) -> tuple[Section, ...]:
    """The study for people.

    Args:
        families: What was found.
        charts: As of `merging_charts`.
        what: Of which networks, how many, on what.
    """
    barriers = Section.of(
        "merging",
        "Merging",
        paragraph(
            f"{what}. Networks are compared two by two: as they are; one aligned to the other; and both as they are "
            "merged, each aligned to the first. The merged network is the mean of these."
        ),
        figure(
            charts["barriers"],
            f"Bars are the largest of all pairs. Where both are aligned to the reference and none reaches {BAR:g} (the "
            "grey line), merging is advised.",
        ),
        _pairs(families),
        _accuracies(families),
    )
    guarded = [family for family in families if family.guards is not None]
    if not guarded:
        return (barriers,)
    return (barriers, _guards_section(guarded, charts["guards"]))


def _guards_section(families: Sequence[Family], drawn: Markup) -> Section:
    rows = [
        [row_head(f"{family.name}: {guard}"), *(_cell(figures[name]) for name in _COLUMNS), guards.forwards[guard]]
        for family in families
        if (guards := family.guards) is not None
        for guard, figures in guards.comparison.figures.items()
    ]
    meanings = [element("li", element("strong", name), f": {FIGURES[name]}") for name in _COLUMNS]
    return Section.of(
        "merging-guards",
        "Guards of merged networks",
        paragraph(
            "Each classifier gets a guard calibrated on the same images, and is attacked by itself on the same other "
            "images. The ensemble averages logits and costs as many forwards as it has networks; the figures of single "
            "networks are their mean."
        ),
        figure(
            drawn,
            "By how much the merged network's guard passes the others; lines are 95 % intervals of the difference over "
            "2,000 draws of the test images, the same for all guards. Right of zero is better on the left, left of "
            "zero is better on the right.",
        ),
        wide(("guard", *_COLUMNS, "forwards per image"), rows),
        element("ul", *meanings),
    )


def _cell(estimate: Estimate) -> str:
    return numbers.estimate(estimate)


def _pairs(families: Sequence[Family]) -> Markup:
    rows = []
    for family in families:
        barriers, names = family.combined.barriers, family.combined.networks.names
        for one, other in combinations(range(len(names)), 2):
            alike = float(barriers.agreement[one, other])
            tables = (barriers.naive, barriers.direct, barriers.via)
            rows.append(
                [
                    row_head(f"{family.name}: {names[one]}, {names[other]}"),
                    *(f"{table[one, other, 1]:.3f}" for table in tables),
                    *(numbers.loss(float(table[one, other, 0])) for table in tables),
                    numbers.percent(None if np.isnan(alike) else alike),
                ]
            )
    kinds = ("as they are", "aligned", "as merged")
    return wide(
        ("pair", *kinds, *kinds, "units matched alike"),
        rows,
        groups=[("", 1), ("error barrier", 3), ("loss barrier (nats)", 3), ("", 1)],
    )


def _accuracies(families: Sequence[Family]) -> Markup:
    rows = []
    for family in families:
        barriers = family.combined.barriers
        rows.append(
            [
                row_head(family.name),
                *(
                    numbers.percent(value)
                    for value in (family.single_accuracy, 1 - barriers.merged[1], family.combined.ensemble_accuracy)
                ),
                f"{barriers.middle[1]:+.3f}",
                f"{barriers.middle[0]:+.3g}",
                words("merge" if barriers.advised else "average logits"),
            ]
        )
    head = ("networks", "single", "merged", "ensemble", "error of the mean", "its loss (nats)", "advice")
    return wide(head, rows, groups=[("", 1), ("held-out accuracy", 3), ("against its parts", 2), ("", 1)])


def _barriers(families: Sequence[Family]) -> Markup:
    kinds = ("as they are", "aligned in pairs", "aligned to the reference")

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for number, kind in enumerate(kinds):
            heights = [_largest(family)[number] for family in families]
            places = np.arange(len(families)) + 0.25 * (number - 1)
            axis.bar(places, heights, 0.22, color=SERIES[number], label=kind)
        axis.axhline(BAR, color=INK, linewidth=0.7, alpha=0.5)
        axis.set_xticks(range(len(families)), [family.name for family in families])
        axis.set_title(f"largest error barrier between two of {len(families[0].combined.networks.names)}")
        axis.legend()

    return chart("merging-barriers", "error barriers as they are, aligned, and through a reference", (6.0, 3.2), paint)


def _largest(family: Family) -> tuple[float, float, float]:
    barriers = family.combined.barriers
    return float(barriers.naive[..., 1].max()), float(barriers.direct[..., 1].max()), barriers.worst


def _differences(families: Sequence[Family]) -> Markup:
    panels = ((LEFT_AUROC, "difference in AUROC, kin left out"), (EVADED, "difference in images that get by"))

    def paint(drawn: Figure) -> None:
        for axis, (name, title) in zip(drawn.subplots(1, 2, sharey=True), panels, strict=True):
            labels: list[str] = []
            for family in families:
                assert family.guards is not None
                for colour, other in ((SERIES[0], SINGLE), (SERIES[1], ENSEMBLE)):
                    found = family.guards.comparison.difference(MERGED, other)[name]
                    reach = [[found.value - found.low], [found.high - found.value]]
                    axis.errorbar([found.value], [len(labels)], xerr=reach, marker="o", capsize=2, color=colour)
                    labels.append(f"{family.name}, against {other}")
            axis.axvline(0, color=INK, linewidth=0.7, alpha=0.5)
            axis.set_yticks(range(len(labels)), labels)
            axis.set_ylim(len(labels) - 0.5, -0.5)
            axis.set_title(title)

    return chart("merging-guards", "the merged guard against the others", (8.6, 2.6), paint)
