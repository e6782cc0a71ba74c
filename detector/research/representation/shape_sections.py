"""What the study of shape found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import INK, LINE_STYLES, SERIES, chart, figure, label
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.representation.comparing import path_distance
from detector.research.representation.plotting import plane_map
from detector.research.representation.shapes import TRAINED, UNTRAINED
from detector.research.representation.training_sections import bars, named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.representation.shapes import Shape, Shapes
    from detector.research.representation.spaces.base import Array

_PAIRS = "distance of two seeds"
_NAMED = 40  # points of a matrix that still have room for their names


def shape_charts(shapes: Shapes) -> dict[str, Markup]:
    """All charts of the study, by name."""
    return {
        "paths": _paths(shapes),
        "target": _target(shapes),
        "seeds": _seeds(shapes),
        "matrix": _matrix(shapes),
        "map": _map(shapes),
    }


def shape_sections(shapes: Shapes, charts: dict[str, Markup]) -> tuple[Section, ...]:
    """The study for people.

    Args:
        shapes: What was found.
        charts: As of `shape_charts`.
    """
    n = f"n = {shapes.seeds} networks of each shape; bars and brackets are 95 % intervals of the mean."
    return (
        Section.of(
            "shape",
            "Paths by depth and width",
            paragraph(f"{shapes.what}."),
            figure(charts["paths"], f"{n} Dotted: before training."),
            figure(charts["target"], f"{n} Distance to the target at each depth of trained networks."),
            _table(shapes),
        ),
        Section.of(
            "seeds",
            "Two seeds, and two shapes",
            paragraph(
                "How far the same layer of two networks that differ in their seeds alone is apart, and how far each "
                "layer of one shape is from each of another."
            ),
            figure(
                charts["seeds"], f"n = {shapes.seeds} trained networks of each shape, every two of them a pair; means."
            ),
            figure(charts["matrix"], "Distances of all layers of the first network of each shape; dark is near."),
            figure(charts["map"], "The same on a map that keeps them best; the cross is the target."),
            _path_distances(shapes),
        ),
    )


def _series(shapes: Shapes) -> tuple[tuple[str, list[Shape], Callable[[Shape], int]], ...]:
    return ("depth", shapes.by_depth(), lambda one: one.depth), ("width", shapes.by_width(), lambda one: one.width)


def _paths(shapes: Shapes) -> Markup:
    kinds: tuple[tuple[str, Callable[[Shape, int], Array]], ...] = (
        ("length", lambda one, when: one.lengths(when)),
        ("slack", lambda one, when: one.slacks(when)),
        ("mean step of a block", lambda one, when: one.block_steps(when)),
        (_PAIRS, lambda one, when: one.across_seeds(when)),
    )

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(2, len(kinds), sharey="col")
        for row, (word, some, size) in zip(axes, _series(shapes), strict=True):
            for axis, (title, values) in zip(row, kinds, strict=True):
                for when, style in ((TRAINED, LINE_STYLES[0]), (UNTRAINED, LINE_STYLES[2])):
                    found = np.stack([values(one, when) for one in some], axis=1)
                    look = {"color": SERIES[0], "linestyle": style}
                    if title == _PAIRS:  # which share networks: no interval would hold
                        axis.plot(found.mean(0), marker="o", markersize=3.5, **look)
                    else:
                        bars(axis, range(len(some)), found, **look)
                axis.set_xticks(range(len(some)), [str(size(one)) for one in some])
                axis.set_xlabel(word)
                axis.set_title(f"{title}, n = {shapes.seeds}")

    return chart("shape-paths", "length, slack, steps and distances of seeds by depth and width", (9.2, 4.8), paint)


def _target(shapes: Shapes) -> Markup:
    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, 2, sharey=True)
        for axis, (word, some, size) in zip(axes, _series(shapes), strict=True):
            for place, one in enumerate(some):
                share = np.linspace(0, 1, len(one.names))
                look = {"color": SERIES[place % len(SERIES)], "label": f"{word} {size(one)}"}
                bars(axis, share, one.arrays["to_target"][:, TRAINED], **look)
            axis.set_xlabel("depth, as a share of the path's points")
            axis.set_title(f"distance to the target, n = {shapes.seeds}")
            axis.legend()

    return chart("shape-target", "distance to the target at each depth, by depth and width", (8.6, 3.2), paint)


def _seeds(shapes: Shapes) -> Markup:
    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for place, one in enumerate(shapes.by_width()):
            values = one.seed_distances(TRAINED)
            axis.plot(
                values.mean(0),
                color=SERIES[place % len(SERIES)],
                marker="o",
                markersize=3.5,
                label=f"width {one.width}",
            )
        named(axis, shapes.by_width()[0].names[1:])
        axis.set_ylim(bottom=0)
        axis.set_title(f"distance of two seeds at the same layer, n = {len(values)} pairs")
        axis.legend()

    return chart("shape-seeds", "distance of two seeds at each layer, by width", (6.4, 3.4), paint)


def _matrix(shapes: Shapes) -> Markup:
    names = [f"{one.name} {name}" for one in shapes.all for name in one.names] + ["target"]

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        axis.grid(visible=False)
        image = axis.imshow(shapes.together, cmap="Greys_r")
        if len(names) <= _NAMED:
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
            axis.set_yticks(range(len(names)), names, fontsize=6)
        else:
            middles = [(shapes.rows(one).start + shapes.rows(one).stop - 1) / 2 for one in shapes.all]
            axis.set_xticks(middles, [label(one.name) for one in shapes.all], rotation=45, ha="right")
            axis.set_yticks(middles, [label(one.name) for one in shapes.all])
        for one in shapes.all:
            edge = shapes.rows(one).stop - 0.5
            axis.axhline(edge, color=SERIES[1], linewidth=0.7)
            axis.axvline(edge, color=SERIES[1], linewidth=0.7)
        drawn.colorbar(image, ax=axis, shrink=0.8)
        axis.set_title("distance of two layers, n = 1 network of each shape")

    return chart("shape-matrix", "distances of all layers of one network of each shape", (7.2, 6.2), paint)


def _map(shapes: Shapes) -> Markup:
    points = plane_map(shapes.together, curvature=shapes.curvature)

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for place, one in enumerate(shapes.all):
            path = points[shapes.rows(one)]
            axis.plot(*path.T, color=SERIES[place % len(SERIES)], marker="o", markersize=3, label=label(one.name))
        axis.plot(*points[-1], color=INK, marker="x", markersize=8, linestyle="none")
        axis.set_aspect("equal")
        axis.set_title("n = 1 network of each shape")
        axis.legend()

    return chart("shape-map", "paths of one network of each shape, on a map", (6.8, 4.8), paint)


def _table(shapes: Shapes) -> Markup:
    kinds: Sequence[tuple[str, Callable[[Shape, int], Array]]] = (
        ("length", lambda one, when: one.lengths(when)),
        ("slack", lambda one, when: one.slacks(when)),
        ("end to target", lambda one, when: one.ends(when)),
        ("step of a block", lambda one, when: one.block_steps(when)),
        ("two seeds", lambda one, when: one.across_seeds(when)),
    )
    return wide(
        ["shape", "accuracy", *["untrained", "trained"] * len(kinds)],
        [
            [
                row_head(one.name),
                numbers.percent(float(one.accuracies(TRAINED).mean())),
                *(numbers.loss(float(value(one, when).mean())) for _, value in kinds for when in (UNTRAINED, TRAINED)),
            ]
            for one in shapes.all
        ],
        groups=[("", 2), *((word, 2) for word, _ in kinds)],
    )


def _path_distances(shapes: Shapes) -> Markup:
    return wide(
        ["distance of paths", *(one.name for one in shapes.all)],
        [
            [row_head(one.name), *(numbers.loss(path_distance(shapes.between(one, other))) for other in shapes.all)]
            for one in shapes.all
        ],
    )
