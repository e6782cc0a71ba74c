"""What the study of percolation found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.reporting.drawing import INK, LINE_STYLES, MUTED, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.connectivity.percolation import SITE_THRESHOLDS, branching_connectivity, threshold_expansion

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.connectivity.percolation_jobs import PercolationOptions
    from detector.shards.stages import Arrays

_FOUND = ("connected", "connected, independent labels", "neighbours low too", "stretch", "straight line low")


def cubes_section(options: PercolationOptions, cubes: Arrays, searched: Arrays) -> Section:
    """Connectivity of hypercubes against their dimension.

    Args:
        options: Of the study.
        cubes: As of `cubes_job`.
        searched: As of `searched_job`; empty where nothing was searched.
    """

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        last = max(*options.dimensions, *options.searched)
        every = range(options.dimensions[0], last + 1)
        for i, share in enumerate(options.shares):
            colour = SERIES[i % len(SERIES)]
            axis.plot(
                options.dimensions,
                np.nanmean(cubes["connectivity"][:, :, i], axis=1),
                color=colour,
                marker="o",
                label=f"p = {share:g}",
            )
            axis.plot(every, [branching_connectivity(n, share) for n in every], color=colour, linestyle=":")
            if options.searched:
                low, high = _bounds(searched["counts"][:, i])
                axis.vlines(options.searched, low, high, color=colour)
                axis.plot(options.searched, low, color=colour, linestyle="none", marker="s", markersize=4)
            if every[0] <= 1 / share <= last:
                axis.axvline(1 / share, color=colour, linewidth=0.8, linestyle="--")
        axis.set_ylim(-0.02, 1.02)
        axis.set_xlabel("n, dimensions")
        axis.set_ylabel("P(two random open sites connected)")
        axis.set_title(f"{options.trials} trials for each circle, {options.pairs} pairs for each square")
        drawn.legend(loc="outside right center")

    return Section.of(
        "hypercube",
        "Percolation on hypercubes",
        paragraph(
            "Corners of {0, 1}^n are open with probability p, each for itself; two random open corners are connected "
            "where steps of single coordinates through open corners lead from one to the other. The threshold is at "
            "p = 1/n (Bollobas, Kohayakawa and Luczak 1994), so any fixed p passes it as n grows."
        ),
        figure(
            chart("percolation", "share of connected pairs against the dimension", (7.4, 3.6), paint),
            "Circles: all corners (mean of trials). Squares: searched pairs, with a line up to what those not decided "
            "would add. Dotted: a branching process's estimate. Dashed: n = 1/p.",
        ),
        *([_searched_table(options, searched)] if options.searched else []),
    )


def _bounds(counts: Any) -> tuple[Any, Any]:
    """The least and the most that the share of connected pairs can be."""
    return counts[:, 0] / counts.sum(axis=1), (counts[:, 0] + counts[:, 2]) / counts.sum(axis=1)


def _searched_table(options: PercolationOptions, searched: Arrays) -> Markup:
    return wide(
        ("n", "p", "connected", "apart", "undecided", "stretch of the paths found"),
        [
            [row_head(n), f"{share:g}", *searched["counts"][row, i].tolist(), _number(searched["stretch"][row, i])]
            for row, n in enumerate(options.searched)
            for i, share in enumerate(options.shares)
        ],
    )


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "\N{EN DASH}"


def lattices_section(options: PercolationOptions, boxes: Arrays) -> Section:
    """Spanning of boxes, and thresholds against the lattice's dimension.

    Args:
        options: Of the study.
        boxes: As of `boxes_job`.
    """
    dimensions = sorted({d for d, _ in options.boxes})
    of = {box: np.sort(found) for box, found in zip(options.boxes, boxes["thresholds"], strict=True)}
    largest = {d: max(side for other, side in options.boxes if other == d) for d in dimensions}

    def spanning(drawn: Figure) -> None:
        axes = drawn.subplots(1, len(dimensions), squeeze=False, sharey=True)[0]
        for axis, d in zip(axes, dimensions, strict=True):
            for number, side in enumerate(sorted(side for other, side in options.boxes if other == d)):
                found = of[d, side]
                chances = np.arange(1, len(found) + 1) / len(found)
                axis.step(found, chances, where="post", color=SERIES[number % len(SERIES)], label=f"side {side}")
            if d in SITE_THRESHOLDS:
                axis.axvline(SITE_THRESHOLDS[d], color=INK, linewidth=0.8)
            axis.axvline(1 / (2 * d - 1), color=MUTED, linewidth=0.8, linestyle=":")
            axis.set_title(f"d = {d}, {options.trials} boxes each")
            axis.set_xlabel("p")
            axis.legend(fontsize=7)
        axes[0].set_ylabel("spanning probability")

    def falling(drawn: Figure) -> None:
        axis = drawn.subplots()
        every = np.arange(max(dimensions[0], 2), dimensions[-1] + 1)
        known = [d for d in dimensions if d in SITE_THRESHOLDS]
        axis.plot(known, [2 * d * SITE_THRESHOLDS[d] for d in known], color=INK, marker="x", label="known p_c")
        medians = [2 * d * np.median(of[d, largest[d]]) for d in dimensions]
        axis.plot(dimensions, medians, color=SERIES[0], linestyle="none", marker="o", label="median, largest box")
        for number, (name, bound) in enumerate(
            (("1/(2d - 1), a lower bound", _lower), ("three terms in 1/(2d)", threshold_expansion))
        ):
            line = LINE_STYLES[number + 1]
            axis.plot(every, [2 * d * bound(int(d)) for d in every], color=MUTED, linestyle=line, label=name)
        axis.axhline(1, color=MUTED, linewidth=0.8)
        axis.set_xticks(dimensions)
        axis.set_xlabel("d, dimensions")
        axis.set_ylabel("2d times the critical share")
        axis.set_title(f"{options.trials} boxes of each dimension")
        axis.legend()

    return Section.of(
        "lattices",
        "Percolation on lattices",
        paragraph(
            "In a box of Z^d the sites are opened in random order until open ones first join two opposite faces. As "
            "boxes grow, that happens at p_c ever more sharply; and p_c falls with d, like 1/(2d)."
        ),
        figure(
            chart("spanning", "spanning probability of boxes", (2.3 * len(dimensions) + 1, 2.9), spanning),
            "Full line: the known threshold. Dotted: 1/(2d - 1), below which nothing percolates.",
        ),
        figure(
            chart("thresholds", "critical share times 2d against the dimension", (6.0, 3.2), falling),
            "Known thresholds: Mertens and Moore, arXiv 1806.08067; three terms: arXiv 1912.04584. Where d is large, "
            "boxes are small, and their medians off accordingly.",
        ),
    )


def _lower(dimension: int) -> float:
    return 1 / (2 * dimension - 1)


def networks_section(options: PercolationOptions, networks: Arrays, far: Arrays) -> Section:
    """Corners of low loss of random networks, beside independent labels.

    Args:
        options: Of the study.
        networks: As of `networks_job`.
        far: As of `searched_networks_job`; empty where nothing was searched.
    """

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, len(options.shares), squeeze=False, sharey=True)[0]
        for i, (axis, share) in enumerate(zip(axes, options.shares, strict=True)):
            for number, column in enumerate((0, 1, 4)):
                values = networks["found"][:, :, i, column]
                colour, line = SERIES[number], LINE_STYLES[number]
                axis.plot(
                    options.network_dimensions,
                    np.nanmean(values, axis=1),
                    color=colour,
                    linestyle=line,
                    marker="o",
                    markersize=4,
                    label=_FOUND[column] if i == 0 else None,
                )
            if options.network_searched:
                low, high = _bounds(far["counts"][:, i])
                axis.vlines(options.network_searched, low, high, color=SERIES[0])
                axis.plot(options.network_searched, low, color=SERIES[0], linestyle="none", marker="s", markersize=4)
                axis.plot(
                    options.network_searched,
                    far["straight"][:, i],
                    color=SERIES[2],
                    linestyle="none",
                    marker="s",
                    markersize=4,
                )
            axis.set_ylim(-0.02, 1.02)
            axis.set_xlabel("n, dimensions")
            axis.set_title(f"p = {share:g}, {options.networks} networks")
        axes[0].set_ylabel("share of pairs")
        drawn.legend(loc="outside upper center", ncols=3)

    rows = [
        [
            row_head(n),
            f"{share:g}",
            *(_number(float(np.nanmean(networks["found"][row, :, i, k]))) for k in range(len(_FOUND))),
        ]
        for row, n in enumerate(options.network_dimensions)
        for i, share in enumerate(options.shares)
        if np.isfinite(networks["found"][row, :, i]).any(axis=0).all()
    ]
    return Section.of(
        "networks",
        "Random networks",
        paragraph(
            f"{options.networks} untrained networks ({options.architecture}) on {{0, 1}}^n: the share p of corners "
            "with the lowest loss of one class, connected by steps of single coordinates through others of them; "
            "beside them as many corners chosen independently, and the straight line between two of them."
        ),
        figure(
            chart(
                "networks", "connectivity of low-loss corners of random networks", (2.5 * len(options.shares), 3), paint
            ),
            f"Circles: all corners, {options.pairs} pairs of each network for straight lines. Squares: {options.pairs} "
            "searched pairs.",
        ),
        wide(("n", "p", *_FOUND), rows),
    )
