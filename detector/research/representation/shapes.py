"""What the study of shape measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.research.representation.comparing import path_distance
from detector.research.representation.plain import plain

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array
    from detector.shards.stages import Arrays

UNTRAINED, TRAINED = 0, 1


@dataclass(frozen=True, eq=False)
class Shape:
    """Networks of one shape.

    Args:
        name: Of the networks.
        depth: As their family counts it.
        width: As their family counts it.
        names: Of the points of a path.
        arrays: As of `geometry_job`, (networks, 2, ...), at the start and at the end of training; and ``pairs``,
            (pairs, 2, L, L), as of `pairs_job`.
    """

    name: str
    depth: int
    width: int
    names: tuple[str, ...]
    arrays: Arrays

    @property
    def blocks(self) -> list[int]:
        """Steps that lead to a block, or where there are none, to any hidden layer."""
        inner = range(1, len(self.names) - 2)
        found = [place - 1 for place in inner if self.names[place].startswith("block")]
        return found or [place - 1 for place in inner]

    def lengths(self, when: int) -> Array:
        """float64 (networks,)."""
        return np.asarray(self.arrays["steps"][:, when].sum(-1))

    def slacks(self, when: int) -> Array:
        """float64 (networks,)."""
        return np.asarray(self.lengths(when) / self.arrays["span"][:, when])

    def ends(self, when: int) -> Array:
        """float64 (networks,): the distance of the last point to the target."""
        return np.asarray(self.arrays["to_target"][:, when, -1])

    def seed_distances(self, when: int) -> Array:
        """float64 (pairs, L - 1): how far networks of two seeds are apart at each point behind the images."""
        return np.asarray(np.diagonal(self.arrays["pairs"][:, when], axis1=1, axis2=2)[:, 1:])

    def across_seeds(self, when: int) -> Array:
        """float64 (pairs,): the mean of that over the hidden layers."""
        return np.asarray(self.seed_distances(when)[:, :-2].mean(1))

    def block_steps(self, when: int) -> Array:
        """float64 (networks,): the mean length of a step of `blocks`."""
        return np.asarray(self.arrays["steps"][:, when][:, self.blocks].mean(1))

    def accuracies(self, when: int) -> Array:
        """float64 (networks,), on the images that paths are measured on, 0..1."""
        return np.asarray(self.arrays["accuracy"][:, when])


@dataclass(frozen=True, eq=False)
class Shapes:
    """All shapes that are compared.

    Args:
        what: On what, in words.
        all: Which.
        depth: That networks of several widths have.
        width: That networks of several depths have.
        together: The distances of all points of the first trained network of each shape, and of the target, as of
            `together_job`.
        curvature: Of the space; None where it varies.
    """

    what: str
    all: tuple[Shape, ...]
    depth: int
    width: int
    together: Array
    curvature: float | None

    @property
    def seeds(self) -> int:
        """Networks of each."""
        return len(self.all[0].arrays["span"])

    def by_depth(self) -> list[Shape]:
        """Those of the usual width, by depth."""
        return sorted((one for one in self.all if one.width == self.width), key=lambda one: one.depth)

    def by_width(self) -> list[Shape]:
        """Those of the usual depth, by width."""
        return sorted((one for one in self.all if one.depth == self.depth), key=lambda one: one.width)

    def rows(self, shape: Shape) -> slice:
        """Where a shape's points are in `together`."""
        begin = 0
        for one in self.all:
            if one is shape:
                break
            begin += len(one.names)
        return slice(begin, begin + len(shape.names))

    def between(self, one: Shape, other: Shape) -> Array:
        """How far each point of a shape's first network is from each of another's, float64 (L, M)."""
        return self.together[self.rows(one), self.rows(other)]

    def figures(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "what": self.what,
            "shapes": {one.name: _shape_figures(one) for one in self.all},
            "path distances of first networks": {
                one.name: {other.name: path_distance(self.between(one, other)) for other in self.all}
                for one in self.all
            },
        }


def _shape_figures(shape: Shape) -> dict[str, Any]:
    measured = {
        name: {
            "length": plain(shape.lengths(when)),
            "slack": plain(shape.slacks(when)),
            "accuracy": plain(shape.accuracies(when)),
            "across seeds": plain(shape.across_seeds(when)),
            "across seeds, at each point": plain(shape.seed_distances(when).mean(0)),
            **{key: plain(value[:, when]) for key, value in shape.arrays.items() if key not in {"pairs", "accuracy"}},
        }
        for name, when in (("untrained", UNTRAINED), ("trained", TRAINED))
    }
    return {"depth": shape.depth, "width": shape.width, "points": list(shape.names), **measured}
