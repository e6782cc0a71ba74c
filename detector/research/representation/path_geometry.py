"""The geometry of a path: how long, how straight, how fast it nears its target and how it turns (arXiv 2206.10999)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.research.representation.spaces.geometry import alexandrov_curvature, angle, project

if TYPE_CHECKING:
    from detector.research.representation.path import RepresentationPath
    from detector.research.representation.spaces.base import Array, LengthSpace
    from detector.shards.stages import Arrays


@dataclass(frozen=True, eq=False)
class PathGeometry:
    """Of a path of L points, X_0 to X_(L-1), with target Y; float64, distances the space's, angles radians.

    Args:
        steps: (L - 1,): the distance from each point to the next.
        to_target: (L,): the distance from each point to Y.
        span: Scalar: the distance from the first point to the last.
        turns: (L - 2,): at each inner point the angle between where the path comes from and where it goes: pi is
            straight on, 0 is back. NaN where a step has no length.
        aims: (L - 1,): at each point but the last the angle between the step and the way to Y: 0 is straight at the
            target, pi / 2 no progress. NaN where the step or the way has no length.
        progress: (L,): where each point is along the straight line from X_0 to Y, projected: 0 at X_0, 1 at Y.
        deviation: (L,): its distance from that line.
        curvature: (L - 2,): of each three points that follow one another, how much farther the middle of the straight
            line between the outer two is from the inner one than it would be in flat space (Alexandrov).
    """

    steps: Array
    to_target: Array
    span: Array
    turns: Array
    aims: Array
    progress: Array
    deviation: Array
    curvature: Array

    @property
    def length(self) -> float:
        """Of all steps together."""
        return float(self.steps.sum())

    @property
    def slack(self) -> float:
        """Length over span, >= 1: 1 is straight, infinity a way back to where it began."""
        return self.length / float(self.span) if self.span > 0 else float("inf")

    @property
    def contributions(self) -> Array:
        """float64 (L - 1,): by how much each step nears the target."""
        return self.to_target[:-1] - self.to_target[1:]

    def arrays(self) -> Arrays:
        """All of it by name."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, *index: Any) -> PathGeometry:
        """Back from `arrays`; further axes before theirs count paths, of which `index` chooses one."""
        return cls(**{field.name: np.asarray(arrays[field.name][index]) for field in fields(cls)})


def path_geometry(path: RepresentationPath, space: LengthSpace) -> PathGeometry:
    """The geometry of a path in its space.

    Raises:
        AnalysisError: The first point is the target already, so there is no line between them; or a straight line is
            needed between points that have more than one, such as opposite ones.
    """
    points, target = path.points, path.target
    triples = list(zip(points, points[1:], points[2:], strict=False))
    steps = np.array([space.distance(a, b) for a, b in pairwise(points)])
    to_target = space.distances(points, [target])[:, 0]
    lines = [project(space, points[0], target, point) for point in points]
    # A layer that changes nothing points nowhere.
    turning = [min(one, other) > 0 for one, other in pairwise(steps)]
    aiming = [min(step, way) > 0 for step, way in zip(steps, to_target[:-1], strict=True)]
    return PathGeometry(
        steps=steps,
        to_target=to_target,
        span=np.array(space.distance(points[0], points[-1])),
        turns=np.array(
            [angle(space, b, a, c) if well else np.nan for well, (a, b, c) in zip(turning, triples, strict=True)]
        ),
        aims=np.array(
            [
                angle(space, a, b, target) if well else np.nan
                for well, (a, b) in zip(aiming, pairwise(points), strict=True)
            ]
        ),
        progress=np.array([line.progress for line in lines]),
        deviation=np.array([line.deviation for line in lines]),
        curvature=np.array([alexandrov_curvature(space, *three) for three in triples]),
    )
