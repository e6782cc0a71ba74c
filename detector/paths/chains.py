"""Chains: paths that are bypassed again and again, each segment at its own barrier, until all is below epsilon.

A chain leads A - B' - C after one round; each segment that still passes epsilon is bypassed in the next, so its
segments at most double. How many are needed is itself a measure of how far two inputs are from being connected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError, GradientsUnavailableError
from detector.paths.bypass import BypassOptions, bypass
from detector.paths.curves import loss_curves, point_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.paths.curves import LossCurves

_LEAST_POINTS = 3
_MOST_ROUNDS = 8  # 256 segments of every path


@dataclass(frozen=True, kw_only=True)
class ChainOptions:
    """When a path connects, and how it is made to.

    Args:
        epsilon: A path connects where no loss on it reaches this, nats; 0 bypasses every segment in every round.
        rounds: Of bypasses, at most; 0 for straight paths alone.
        points: Of the grid on the straight path. A segment of round r has a 2^r-th of them, but at least
            `segment_points`.
        segment_points: See `points`.
        bypass: How a barrier point is moved.

    Raises:
        AnalysisError: A value is out of range.
    """

    epsilon: float = 0.1
    rounds: int = 1
    points: int = 51
    segment_points: int = 11
    bypass: BypassOptions = field(default_factory=BypassOptions)

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < math.inf:
            raise AnalysisError(f"epsilon must be a number, not negative, not {self.epsilon}")
        if 0 < self.epsilon <= self.bypass.stop_loss:
            raise AnalysisError(f"stop_loss: bypasses must go on below epsilon ({self.epsilon}), not stop there")
        if not 0 <= self.rounds <= _MOST_ROUNDS:
            raise AnalysisError(f"rounds must lie in 0..{_MOST_ROUNDS}, not {self.rounds}")
        if min(self.points, self.segment_points) < _LEAST_POINTS:
            raise AnalysisError(f"points and segment_points must be at least {_LEAST_POINTS}")

    def points_of(self, number: int) -> int:
        """Of the grid on a segment that round `number` made; 0 is the straight path."""
        return self.points if number == 0 else max(self.segment_points, -(-self.points // 2**number))


@dataclass(frozen=True, eq=False)
class Chains:
    """P paths with all their bypasses.

    Args:
        straight: The loss on the straight paths, before any bypass.
        heights: float32 (P, rounds + 1): the largest loss on the whole path after each round, nats.
        segments: int64 (P, rounds + 1): how many segments the path has after each round.
        waypoints: For each path the points its segments join, float32 (segments + 1, C, H, W), both ends included.
    """

    straight: LossCurves
    heights: Float32Array
    segments: NDArray[np.int64]
    waypoints: tuple[Float32Array, ...]

    def connected(self, epsilon: float) -> NDArray[np.bool_]:
        """Bool (P, rounds + 1): whether no loss on the path reaches epsilon after each round."""
        return self.heights < epsilon


def connect(
    classifier: Classifier,
    gradients: TorchClassifier | None,
    starts: Float32Array,
    ends: Float32Array,
    classes: NDArray[np.int64],
    *,
    options: ChainOptions,
    on_progress: Callable[[int], None] | None = None,
) -> Chains:
    """Join pairs of inputs by paths of low loss, all pairs of one batch together.

    Args:
        classifier: Whose loss is measured along paths.
        gradients: Answers like it and has gradients: moves barrier points. None where nothing is bypassed.
        starts: float32 (P, C, H, W), canonical; A.
        ends: float32 (P, C, H, W), canonical; C.
        classes: int64 (P,), whose loss is to be small.
        options: How.
        on_progress: Told of pairs done in a round, `options.rounds` + 1 times P in all.

    Raises:
        GradientsUnavailableError: `gradients` has none, or is missing where a path must be bypassed.
        ClassifierError: A classifier fails, or gives what is no finite number.
    """
    straight = loss_curves(classifier, starts, ends, classes, points=options.points)
    segments = _segments(starts, ends, straight)
    paths = [_Path(int(label), (segment,)) for label, segment in zip(classes, segments, strict=True)]
    history = [paths]
    _tell(on_progress, len(paths))
    for number in range(1, options.rounds + 1):
        paths = _bypassed(classifier, gradients, paths, number, options)
        history.append(paths)
        _tell(on_progress, len(paths))
    shape = (len(history), len(paths))
    return Chains(
        straight,
        np.array([[path.height for path in each] for each in history], np.float32).reshape(shape).T,
        np.array([[len(path.segments) for path in each] for each in history], np.int64).reshape(shape).T,
        tuple(path.waypoints for path in paths),
    )


@dataclass(frozen=True, eq=False)
class _Segment:
    """A straight part of a path, the largest loss on it, and its barrier point: the largest between its ends."""

    start: Float32Array
    end: Float32Array
    height: float
    barrier_point: Float32Array


def _segments(starts: Iterable[Float32Array], ends: Iterable[Float32Array], curves: LossCurves) -> list[_Segment]:
    """The straight parts whose losses are known."""
    told = zip(starts, ends, curves.heights.tolist(), curves.barrier_alphas.tolist(), strict=True)
    return [_Segment(start, end, height, point_at(start, end, alpha)) for start, end, height, alpha in told]


@dataclass(frozen=True, eq=False)
class _Path:
    """One path: the class whose loss counts, and its segments in order."""

    label: int
    segments: tuple[_Segment, ...]

    @property
    def height(self) -> float:
        return max(segment.height for segment in self.segments)

    @property
    def waypoints(self) -> Float32Array:
        return np.stack([self.segments[0].start, *(segment.end for segment in self.segments)])


def _bypassed(
    classifier: Classifier,
    gradients: TorchClassifier | None,
    paths: Sequence[_Path],
    number: int,
    options: ChainOptions,
) -> list[_Path]:
    """The paths after one more round."""
    high = [
        (row, place)
        for row, path in enumerate(paths)
        for place, segment in enumerate(path.segments)
        if segment.height >= options.epsilon
    ]
    if not high:
        return list(paths)
    if gradients is None:
        raise GradientsUnavailableError("paths can't be bypassed without gradients; rounds=0 measures straight ones")
    chosen = [paths[row].segments[place] for row, place in high]
    labels = np.array([paths[row].label for row, _ in high], np.int64)
    found = bypass(
        gradients,
        np.stack([segment.barrier_point for segment in chosen]),
        np.stack([segment.end - segment.start for segment in chosen]),
        labels,
        options.bypass,
    )
    joints = [(one.start, point, one.end) for one, point in zip(chosen, found.points, strict=True)]
    halves = [half for joint in joints for half in pairwise(joint)]
    starts, ends = np.stack([a for a, _ in halves]), np.stack([b for _, b in halves])
    curves = loss_curves(classifier, starts, ends, labels.repeat(2), points=options.points_of(number))
    made = _segments(starts, ends, curves)
    replaced = {at: made[2 * i : 2 * i + 2] for i, at in enumerate(high)}
    return [
        _Path(
            path.label,
            tuple(
                half for place, segment in enumerate(path.segments) for half in replaced.get((row, place), [segment])
            ),
        )
        for row, path in enumerate(paths)
    ]


def _tell(on_progress: Callable[[int], None] | None, done: int) -> None:
    if on_progress:
        on_progress(done)
