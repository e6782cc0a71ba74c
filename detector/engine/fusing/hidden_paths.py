"""Hidden paths as nodes of a graph: twin of `detector.scoring.hidden_paths`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from detector.scoring.hidden_paths import LEAST_LENGTH, tapped_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.engine.fusing.writer import GraphWriter
    from detector.profiles import PathPlan
    from detector.scoring.tap_statistics import TapStatistics


@dataclass(frozen=True)
class Classes:
    """Names of which class is which.

    Args:
        own: bool (N, 1, classes): the predicted class.
        runner_up: bool (N, 1, classes).
    """

    own: str
    runner_up: str


def write_hidden_paths(
    writer: GraphWriter, taps: str, plan: PathPlan, statistics: TapStatistics, classes: Classes
) -> str:
    """float32 (N, features): as `hidden_path_features`, in double precision like these.

    Args:
        writer: Where to.
        taps: float32 (N, tapped points, numbers).
        plan: Which paths were tapped.
        statistics: Of the taps.
        classes: Of the images.
    """
    w = writer
    exact = w.op("Cast", taps, to=TensorProto.DOUBLE)
    centred = w.op("Sub", exact, w.constant(statistics.mean.astype(np.float64)))
    moved = w.op("Mul", centred, w.constant(statistics.units))
    found = []
    for layer in statistics.layers:
        hidden = w.op("Slice", moved, w.constant([layer.start]), w.constant([layer.stop]), w.constant([2]))
        for path in tapped_rows(plan):
            found += _geometry(w, hidden, path)
        found += _nearness(w, hidden, statistics.points[:, layer], classes)
    return w.op("Cast", w.concat(found, axis=1), to=TensorProto.FLOAT)


def _geometry(w: GraphWriter, hidden: str, path: list[int]) -> list[str]:
    """Slack, chord, shares and cosines of a path through the rows of a layer, float64 (N, how many there are) each."""
    steps = w.op("Sub", w.take(hidden, path[1:], axis=1), w.take(hidden, path[:-1], axis=1))
    count = len(path) - 1
    lengths = _lengths(w, steps)
    total = w.reduce("Sum", lengths, 1, keep=True)
    ends = w.op("Sub", w.take(hidden, path[-1:], axis=1), w.take(hidden, path[:1], axis=1))
    chord = w.op("Log", _at_least(w, _lengths(w, ends), LEAST_LENGTH))
    sized = _at_least(w, lengths, LEAST_LENGTH)
    slack = w.op("Sub", w.op("Log", _at_least(w, total, LEAST_LENGTH)), chord)
    shares = w.op("Sub", w.op("Log", sized), w.op("Log", _at_least(w, total, LEAST_LENGTH * count)))
    if count == 1:
        return [slack, chord, shares]
    later, earlier = list(range(1, count)), list(range(count - 1))
    products = w.op("Mul", w.take(steps, later, axis=1), w.take(steps, earlier, axis=1))
    sizes = w.op("Mul", w.take(sized, later, axis=1), w.take(sized, earlier, axis=1))
    return [slack, chord, shares, w.op("Div", w.reduce("Sum", products, 2), sizes)]


def _nearness(w: GraphWriter, hidden: str, centres: NDArray[np.float64], classes: Classes) -> list[str]:
    """The channels of `NEARNESS`, float64 (N, points) each."""
    products = w.op("MatMul", hidden, w.constant(centres.T))
    squares = w.reduce("Sum", w.op("Mul", hidden, hidden), 2, keep=True)
    centre_squares = np.square(centres).sum(axis=1)
    sized = w.constant(np.maximum(np.sqrt(centre_squares), LEAST_LENGTH))
    similarity = w.op("Div", products, w.op("Mul", _at_least(w, w.op("Sqrt", squares), LEAST_LENGTH), sized))
    twice = w.op("Add", products, products)
    apart = w.op("Add", w.op("Sub", squares, twice), w.constant(centre_squares))
    distance = w.op("Sqrt", _at_least(w, apart, 0.0))
    own, away = _of(w, similarity, classes.own), _of(w, distance, classes.own)
    nothing = w.constant(np.float64(-np.inf))
    best = w.reduce("Max", w.op("Where", classes.own, nothing, similarity), 2)
    nearest = w.reduce("Max", w.op("Where", classes.own, nothing, w.op("Neg", distance)), 2)
    return [
        own,
        w.op("Sub", own, _of(w, similarity, classes.runner_up)),
        w.op("Sub", own, best),
        away,
        w.op("Sub", w.op("Neg", away), nearest),
    ]


def _of(w: GraphWriter, values: str, classes: str) -> str:
    """float64 (N, points): one class's of values (N, points, classes)."""
    return w.reduce("Max", w.op("Where", classes, values, w.constant(np.float64(-np.inf))), 2)


def _lengths(w: GraphWriter, moves: str) -> str:
    """float64 (N, moves), of moves (N, moves, numbers)."""
    return w.op("Sqrt", w.reduce("Sum", w.op("Mul", moves, moves), 2))


def _at_least(w: GraphWriter, values: str, least: float) -> str:
    return w.op("Max", values, w.constant(np.float64(least)))
