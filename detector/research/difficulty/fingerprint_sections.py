"""How well fingerprints tell architectures, drawn and in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import MUTED, SERIES, chart, figure, label, plain_numbers
from detector.reporting.parts import Section, paragraph, row_head, shaded_share, wide
from detector.research.difficulty.kinship import kinship
from detector.research.difficulty.showing import grid, grid_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.metrics import Estimate
    from detector.research.difficulty.fingerprint import Fingerprint

Pairs = dict[tuple[str, str], "Fingerprint"]


def fingerprint_charts(pairs: Pairs, runs: int) -> dict[str, Markup]:
    """Its charts by name; arguments as of `fingerprint_sections`."""

    def paint(drawn: Figure) -> None:
        axes = grid(drawn, len(pairs))
        for axis, ((first, second), one) in zip(axes, pairs.items(), strict=True):
            _accuracies(axis, one, random=False)
            _accuracies(axis, one, random=True)
            axis.axhline(one.chance, color=MUTED, linewidth=0.8, linestyle=":")
            axis.set_title(f"{label(first)}\n{label(second)}, n = {runs} runs each")
            axis.set_xscale("log")
            axis.set_xticks(one.sizes)
            plain_numbers(axis.xaxis)
            axis.set_ylim(0, 1.05)
            axis.set_xlabel("examples")
        axes[0].set_ylabel("accuracy on held-out runs")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2)

    width, height = grid_size(len(pairs))
    text = "accuracy of fingerprints against their number of examples, for every pair of architectures"
    return {"accuracy": chart("fingerprint-accuracy", text, (width, height + 0.4), paint)}


def fingerprint_sections(
    pairs: Pairs, together: Fingerprint | None, architectures: Sequence[str], what: str, charts: Mapping[str, Markup]
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        pairs: Of every pair of architectures.
        together: Of all at once; None where there are but two.
        architectures: All of them.
        what: Was analysed, in words.
        charts: As of `fingerprint_charts`.
    """
    sizes = next(iter(pairs.values())).sizes
    kinds = [f"{kind} {size}" for size in sizes for kind in ("chosen", "random")]
    body = [
        paragraph(
            f"{what}. Half of the runs choose the examples on which two architectures differ most for how much their "
            "runs do; each of these votes for the architecture whose mean is nearer, and the other half of the runs is "
            "told by most votes. Random examples do the same beside them."
        ),
        figure(
            charts["accuracy"],
            "Accuracy on runs that chose nothing: the mean over all splits, its bars 95 % intervals over runs. Dotted: "
            "chance.",
        ),
        wide(
            [
                "pair",
                "they differ in",
                *kinds,
                "runs told",
            ],
            [_row(pair, one) for pair, one in pairs.items()],
        ),
        paragraph(
            f"Runs told: how many are told right by {sizes[0]} in most of the splits in which they were asked, with "
            "the exact 95 % interval of such a share."
        ),
    ]
    if together is not None:
        body += [
            paragraph(
                f"All {len(architectures)} at once, by {sizes[-1]} examples (chance is "
                f"{numbers.percent(together.chance)}): rows are what runs are, columns what they are told to be. "
                f"Accuracy {', '.join(_of_size(together, size) for size in sizes)}."
            ),
            wide(
                ["", *architectures],
                [
                    [row_head(name), *(shaded_share(float(share)) for share in together.told[row, :, -1])]
                    for row, name in enumerate(architectures)
                ],
            ),
        ]
    return (Section.of("fingerprint", "Fingerprints of architectures", *body),)


def _accuracies(axis: Any, one: Fingerprint, *, random: bool) -> None:
    found = one.accuracy(random=random)
    values = np.array([each.value for each in found])
    bars = [values - [each.low for each in found], [each.high for each in found] - values]
    axis.errorbar(
        one.sizes,
        values,
        yerr=np.maximum(bars, 0),
        color=SERIES[6] if random else SERIES[0],
        marker="o",
        markersize=3,
        capsize=2,
        elinewidth=0.8,
        label="random examples" if random else "chosen examples",
    )


def _row(pair: tuple[str, str], one: Fingerprint) -> list[object]:
    both = zip(one.accuracy(), one.accuracy(random=True), strict=True)
    accuracies = [_share(estimate) for two in both for estimate in two]
    told = one.recognised(one.sizes[0])
    runs = f"{told.flagged} of {told.total} ({numbers.percent(told.low)} to {numbers.percent(told.high)})"
    return [row_head(" / ".join(pair)), kinship(*pair).value, *accuracies, runs]


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _of_size(one: Fingerprint, size: int) -> str:
    return f"{_share(one.accuracy()[one.place(size)])} by {size}"
