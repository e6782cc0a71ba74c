"""What the study of training found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import INK, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.representation.plain import over_seeds
from detector.research.representation.plotting import plane_map

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.representation.course import Course
    from detector.research.representation.spaces.base import Array

_FAINTEST = 0.25


def training_charts(course: Course) -> dict[str, Markup]:
    """All charts of the study, by name."""
    return {"course": _course(course), "depth": _depth(course), "map": _map(course)}


def training_sections(course: Course, charts: dict[str, Markup]) -> tuple[Section, ...]:
    """The study for people.

    Args:
        course: What was found.
        charts: As of `training_charts`.
    """
    n = f"n = {course.seeds} networks; bars are 95 % intervals of the mean."
    return (
        Section.of(
            "training",
            "Paths over training",
            paragraph(
                f"{course.what}. What the same images are at each depth is a point; the path runs from the images to "
                "the softmax, and its target is the images' classes. Slack is the path's length over the distance of "
                "its ends: 1 is straight."
            ),
            figure(charts["course"], f"{n} Length, slack, and how far the end is from the target, by epoch."),
            figure(
                charts["depth"],
                f"{n} Faint at the start, full at the end. Left: distance to the target. Right: the angle between each "
                "step and the way to the target; 90 degrees is no progress.",
            ),
            figure(
                charts["map"],
                "One network's path at every checkpoint, faint at the start; the map that keeps all distances best. "
                "The cross is the target.",
            ),
            _table(course),
        ),
    )


def bars(axis: Any, places: Any, values: Array, **look: Any) -> None:
    """A line of means over seeds, (seeds, n), with their intervals."""
    found = over_seeds(values)
    middle = [one.value for one in found]
    half = [one.high - one.value for one in found]
    axis.errorbar(places, middle, yerr=half, marker="o", markersize=3.5, capsize=2, elinewidth=0.8, **look)


def named(axis: Any, names: tuple[str, ...]) -> None:
    """An axis of the points of a path."""
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")


def _shade(place: int, count: int) -> float:
    return _FAINTEST + (1 - _FAINTEST) * place / max(1, count - 1)


def _course(course: Course) -> Markup:
    rows = (
        ("length", course.lengths),
        ("slack", course.slacks),
        ("distance of the end to the target", course.arrays["to_target"][..., -1]),
    )

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, len(rows))
        for axis, (title, values) in zip(axes, rows, strict=True):
            bars(axis, range(len(course.epochs)), values, color=SERIES[0])
            axis.set_xticks(range(len(course.epochs)), [str(epoch) for epoch in course.epochs])
            axis.set_xlabel("epoch")
            axis.set_title(f"{title}, n = {course.seeds}")

    return chart("training-course", "length, slack and distance to the target over training", (8.6, 2.8), paint)


def _depth(course: Course) -> Markup:
    count = len(course.epochs)

    def paint(drawn: Figure) -> None:
        left, right = drawn.subplots(1, 2)
        for place, epoch in enumerate(course.epochs):
            look = {"color": SERIES[0], "alpha": _shade(place, count), "label": f"epoch {epoch}"}
            bars(left, range(len(course.names)), course.arrays["to_target"][:, place], **look)
            aims = np.degrees(course.arrays["aims"][:, place])
            bars(right, range(1, len(course.names)), aims, **look)
        right.axhline(90, color=INK, linewidth=0.7, alpha=0.5)
        left.set_title(f"distance to the target, n = {course.seeds}")
        right.set_title(f"angle of the step to the target, degrees, n = {course.seeds}")
        for axis in (left, right):
            named(axis, course.names)
        left.legend()

    return chart("training-depth", "distance and angle to the target at each depth, over training", (8.6, 3.6), paint)


def _map(course: Course) -> Markup:
    points = plane_map(course.together, curvature=course.curvature)
    paths = points[:-1].reshape(len(course.epochs), len(course.names), 2)

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for place, path in enumerate(paths):
            shade = _shade(place, len(paths))
            axis.plot(*path.T, color=SERIES[0], alpha=shade, marker="o", markersize=3)
        for name, point in zip(course.names, paths[-1], strict=True):
            axis.annotate(name, point, textcoords="offset points", xytext=(4, 4), fontsize=7, color=INK)
        axis.plot(*points[-1], color=SERIES[1], marker="x", markersize=8, linestyle="none")
        axis.set_aspect("equal")
        axis.set_title("one network's path, n = 1")

    return chart("training-map", "a network's path at each checkpoint, on a map", (6.4, 4.6), paint)


def _table(course: Course) -> Markup:
    rows = [
        [
            row_head(name),
            *(numbers.loss(float(course.arrays["to_target"][:, place, at].mean())) for place in (0, -1)),
            *(numbers.loss(_of(course.arrays["steps"], place, at - 1)) if at else "" for place in (0, -1)),
            *(_degrees(course.arrays["aims"], place, at - 1) if at else "" for place in (0, -1)),
            *(numbers.loss(_of(course.arrays["progress"], place, at)) for place in (0, -1)),
            *(numbers.loss(_of(course.arrays["deviation"], place, at)) for place in (0, -1)),
            *(
                _degrees(course.arrays["turns"], place, at - 1) if 0 < at < len(course.names) - 1 else ""
                for place in (0, -1)
            ),
        ]
        for at, name in enumerate(course.names)
    ]
    pair = ["untrained", "trained"]
    words = ("to the target", "step to here", "its angle to the target", "progress", "off the line", "turn here")
    return wide(["point", *pair * len(words)], rows, groups=[("", 1), *((word, 2) for word in words)])


def _of(values: Array, checkpoint: int, place: int) -> float | None:
    found = float(values[:, checkpoint, place].mean())
    return found if np.isfinite(found) else None


def _degrees(values: Array, checkpoint: int, place: int) -> str:
    found = _of(values, checkpoint, place)
    return numbers.NOTHING if found is None else f"{np.degrees(found):.0f}\N{DEGREE SIGN}"
