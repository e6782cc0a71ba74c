"""Angles, projections and curvature in any space (arXiv 2206.10999; Bridson and Haefliger 1999 for length spaces)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from detector.errors import AnalysisError
from detector.research.representation.spaces.base import Space, rounding

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array, LengthSpace

_STEPS = 100
_EDGE = 1e-6
_PRECISION = 1e-11


@dataclass(frozen=True, eq=False)
class Projection:
    """The point of a straight line from `a` to `b` that is nearest to another.

    Attributes:
        point: It.
        progress: Its share of the way from `a` to `b`; below 0 it lies before `a`, above 1 beyond `b`.
        deviation: Its distance to what is projected.
    """

    point: Array
    progress: float
    deviation: float


def angle(space: LengthSpace, at: Array, one: Array, other: Array) -> float:
    """The angle at a point between the straight lines to two others, in radians: pi is straight on, 0 is back.

    By tangents where the space has them, else by `angle_by_sides`. Near 0 and pi it is exact to about 1e-7.

    Raises:
        AnalysisError: One of the others is the point itself, or as `LengthSpace.between`.
    """
    if not isinstance(space, Space):
        return angle_by_sides(space, at, one, other)
    first, second = (_unit(space, at, space.log(at, end)) for end in (one, other))
    return float(np.arccos(np.clip(space.inner(at, first, second), -1, 1)))


def angle_by_sides(space: LengthSpace, at: Array, one: Array, other: Array, *, share: float = 1e-3) -> float:
    """The same without tangents: by the law of cosines in a small triangle (Alexandrov's angle, in the limit).

    Args:
        space: Where.
        at: The corner.
        one: Where one side leads.
        other: Where the other leads.
        share: How much of each side the triangle takes, above 0 and up to 1.

    Raises:
        AnalysisError: As `angle`.
    """
    if min(space.distance(at, end) for end in (one, other)) <= rounding(space, at):
        raise _pointless(space)
    near = [space.between(at, end, share) for end in (one, other)]
    sides = [space.distance(at, end) for end in near]
    across = space.distance(*near)
    cosine = (sides[0] ** 2 + sides[1] ** 2 - across**2) / (2 * sides[0] * sides[1])
    return float(np.arccos(np.clip(cosine, -1, 1)))


def project(space: LengthSpace, a: Array, b: Array, point: Array) -> Projection:
    """The nearest point on the straight line through `a` and `b`.

    On a sphere and where it is flat in closed form; in other Riemannian spaces where the tangent to `point` is at right
    angles to the line, a root found by Brent's method downhill from `a`, `b` or their middle, whichever is nearest: the
    nearest of its surroundings, which is the nearest of all where the space is not curved upwards. In these, the line
    does not end at `a` and `b`. In a space without tangents it does, and the nearest point is searched on it by
    distances alone, to about 1e-8 of the way.

    Raises:
        AnalysisError: `a` and `b` are one point; or no nearest point is found; or as `LengthSpace.between`.
    """
    far = space.distance(a, b)
    if far <= rounding(space, a):
        raise AnalysisError(f"{space.name}: a line needs two points, and these are one")
    if not isinstance(space, Space):
        found = minimize_scalar(
            lambda share: space.distance(space.between(a, b, share), point), bounds=(0, 1), method="bounded",
            options={"xatol": _PRECISION},
        )  # fmt: skip
        nearest = space.between(a, b, float(found.x))
        return Projection(nearest, float(found.x), space.distance(nearest, point))
    line = space.log(a, b) / far
    along = _closed(space, a, line, point) if space.curvature in {0.0, 1.0} else _root(space, a, b, far, point)
    nearest = space.exp(a, along * line)
    return Projection(nearest, along / far, space.distance(nearest, point))


def alexandrov_curvature(space: LengthSpace, a: Array, b: Array, c: Array) -> float:
    """Above 0 where the space is curved as a sphere is, below 0 as a saddle.

    How much further `b` is from the middle of `a` and `c` than it would be in a plane with the same three sides.
    """
    sides = [space.distance(*pair) for pair in ((a, b), (b, c), (a, c))]
    plane = sides[0] ** 2 / 2 + sides[1] ** 2 / 2 - sides[2] ** 2 / 4
    return space.distance(b, space.between(a, c, 0.5)) - max(plane, 0.0) ** 0.5


def _unit(space: Space, at: Array, tangent: Array) -> Array:
    length = space.inner(at, tangent, tangent) ** 0.5
    if length <= rounding(space, at):
        raise _pointless(space)
    return tangent / length


def _pointless(space: LengthSpace) -> AnalysisError:
    return AnalysisError(f"{space.name}: an angle needs two lines, and one of them has no length")


def _closed(space: Space, a: Array, line: Array, point: Array) -> float:
    """How far along a line the nearest point is, where every plane's curvature is 1 or 0."""
    towards = space.log(a, point)
    along = space.inner(a, towards, line)
    if space.curvature == 0:
        return along
    far = space.distance(a, point)
    return float(np.arctan2(np.sinc(far / np.pi) * along, np.cos(far)))


def _root(space: Space, a: Array, b: Array, far: float, point: Array) -> float:
    """The same in any space: where going on along the line brings `point` no nearer."""
    line = space.log(a, b) / far

    def gain(along: float) -> float:
        here = space.exp(a, along * line)
        # The line's direction, told by a piece of it that leads away from the end at which it may turn.
        piece = far / 8 if 0 <= along <= far / 2 or along > far else -far / 8
        forward = _unit(space, here, np.sign(piece) * space.log(here, space.exp(a, (along + piece) * line)))
        return space.inner(here, space.log(here, point), forward)

    # Not from the ends themselves: a line may turn at one that lacks rank, and what is downhill depends on the side.
    starts = (_EDGE * far, far / 2, (1 - _EDGE) * far)
    here = min(starts, key=lambda along: space.distance(space.exp(a, along * line), point))
    gained = gain(here)
    if gained == 0:
        return here
    # Steps as long as the gain pass no turn of the distance where the space is curved upwards, and reach it at once
    # where it is curved downwards; an eighth of the line is what is dared beyond.
    for _ in range(_STEPS):
        there = here + float(np.copysign(max(abs(gained), far / 8), gained))
        beyond = gain(there)
        if beyond * gained <= 0:
            return float(brentq(gain, here, there, xtol=_PRECISION * far, rtol=_PRECISION))
        here, gained = there, beyond
    raise AnalysisError(f"{space.name}: no point of this line is found nearest to the other in {_STEPS} steps")
