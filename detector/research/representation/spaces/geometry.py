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

_STEPS = 12
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
    angles to the line, a root found by Brent's method: the nearest of its surroundings, which is the nearest of all
    where the space is not curved upwards. In these, the line does not end at `a` and `b`. In a space without tangents
    it does, and the nearest point is searched on it by distances alone, to about 1e-8 of the way.

    Raises:
        AnalysisError: `a` and `b` are one point; or no nearest point is found up to 1,000 times as far as they are
            apart; or as `LengthSpace.between`.
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
        back = along > far / 2  # the end that is further away tells the line's direction better
        way = space.log(here, a if back else b)
        forward = _unit(space, here, -way if back else way)
        return space.inner(here, space.log(here, point), forward)

    start = gain(0)
    if start == 0:
        return 0.0
    reach = float(np.sign(start)) * max(abs(start), 1e-3 * far)
    for _ in range(_STEPS):
        if gain(reach) * start <= 0:
            return float(brentq(gain, 0, reach, xtol=_PRECISION * far, rtol=_PRECISION))
        reach *= 2
        if abs(reach) > 1_000 * far:
            break
    raise AnalysisError(f"{space.name}: no point of this line is nearest to the other point")
