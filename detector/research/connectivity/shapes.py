"""Shapes that join inputs: curves between two, simplexes of more, all of them means of corners and free points.

Every shape is told by weights alone: a point of it is ``weights @ (corners, free points)``. So one optimiser fits
all of them, and one function measures them. Curves are those of Garipov et al. (arXiv 1802.10026), there between
networks; simplexes follow the m-connectors of Fort and Jastrzebski (arXiv 1906.04724).
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Protocol

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

_MOST_FREE = 8
_MOST_DIMENSIONS = 4  # 26 free points and 120 parts of a subdivided simplex


class Shape(Protocol):
    """What joins a number of corners.

    Attributes:
        name: For people.
        corners: How many inputs it joins.
        free: How many points of it are to be found.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - above
    @property
    def corners(self) -> int: ...  # noqa: D102 - above
    @property
    def free(self) -> int: ...  # noqa: D102 - above

    def start(self) -> Float32Array:
        """float32 (free, corners): the means of corners where free points begin, which make the shape flat."""
        ...

    def draw(self, rng: np.random.Generator, count: int) -> Float32Array:
        """float32 (count, corners + free): weights of points drawn all over it."""
        ...

    def grid(self, count: int) -> Float32Array:
        """float32 (n, corners + free): weights of the points to measure; of a curve `count`, in order."""
        ...


class _Curve(ABC):
    """A shape of two corners: a parameter leads from one to the other."""

    free: int

    @property
    def corners(self) -> int:
        """The ends."""
        return 2

    def start(self) -> Float32Array:
        """See `Shape`."""
        return _spread(self.free)

    def draw(self, rng: np.random.Generator, count: int) -> Float32Array:
        """See `Shape`; one point in each of `count` equal parts."""
        return self._weights(_stratified(rng, count))

    def grid(self, count: int) -> Float32Array:
        """See `Shape`."""
        return self._weights(np.linspace(0, 1, count))

    @abstractmethod
    def _weights(self, places: NDArray[np.float64]) -> Float32Array:
        """float32 (n, 2 + free): of the points at places in [0, 1]."""


@dataclass(frozen=True)
class Polyline(_Curve):
    """A path of straight segments of equal shares of the parameter, with free points where they meet.

    Args:
        free: Points between the two ends; 0 for the straight path.

    Raises:
        AnalysisError: Too many, or fewer than none.
    """

    free: int

    def __post_init__(self) -> None:
        if not 0 <= self.free <= _MOST_FREE:
            raise AnalysisError(f"free points of a path must lie in 0..{_MOST_FREE}, not {self.free}")

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.free + 1} segments" if self.free else "straight path"

    def _weights(self, places: NDArray[np.float64]) -> Float32Array:
        knots = np.arange(self.free + 2)
        hats = np.maximum(1 - np.abs(places[:, None] * (self.free + 1) - knots), 0)
        return _ends_first(hats)


@dataclass(frozen=True)
class Bezier(_Curve):
    """A Bezier curve: smooth, it leaves its ends towards its control points, which it does not touch.

    Args:
        free: Control points between the two ends; 1 for a quadratic curve.

    Raises:
        AnalysisError: Too many, or none.
    """

    free: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.free <= _MOST_FREE:
            raise AnalysisError(f"control points of a curve must lie in 1..{_MOST_FREE}, not {self.free}")

    @property
    def name(self) -> str:
        """For people."""
        return "quadratic Bezier" if self.free == 1 else f"Bezier of degree {self.free + 1}"

    def _weights(self, places: NDArray[np.float64]) -> Float32Array:
        degree = self.free + 1
        powers = np.arange(degree + 1)
        binomials = np.array([comb(degree, int(power)) for power in powers])
        at = places[:, None]
        return _ends_first(binomials * at**powers * (1 - at) ** (degree - powers))


@dataclass(frozen=True)
class Parts:
    """A union of simplexes that share points.

    Args:
        name: For people.
        corners: How many inputs it joins.
        begins: For each free point the corners in whose middle it begins.
        simplexes: Of each, the numbers of its points: corners first, then free points; all as many.
    """

    name: str
    corners: int
    begins: tuple[tuple[int, ...], ...]
    simplexes: tuple[tuple[int, ...], ...]

    @property
    def free(self) -> int:
        """Points to be found."""
        return len(self.begins)

    def start(self) -> Float32Array:
        """See `Shape`."""
        weights = np.zeros((self.free, self.corners), np.float32)
        for number, members in enumerate(self.begins):
            weights[number, list(members)] = 1 / len(members)
        return weights

    def draw(self, rng: np.random.Generator, count: int) -> Float32Array:
        """See `Shape`; evenly within each simplex, and of each as many, but for the remainder."""
        numbers = rng.permutation(np.arange(count) + rng.integers(len(self.simplexes))) % len(self.simplexes)
        members = np.array(self.simplexes)[numbers]
        weights = np.zeros((count, self.corners + self.free), np.float32)
        np.put_along_axis(weights, members, rng.dirichlet(np.ones(members.shape[1]), count).astype(np.float32), axis=1)
        return weights

    def grid(self, count: int) -> Float32Array:
        """See `Shape`: its own points, the middles of its edges, and `count` points drawn, always the same."""
        pairs = {pair for one in self.simplexes for pair in itertools.combinations_with_replacement(sorted(one), 2)}
        edges = np.zeros((len(pairs), self.corners + self.free), np.float32)
        for row, pair in zip(edges, sorted(pairs), strict=True):
            for member in pair:
                row[member] += 0.5
        return np.concatenate([edges, self.draw(np.random.default_rng(0), count)])


def flat_simplex(dimension: int) -> Parts:
    """All means of `dimension` + 1 corners; of dimension 1, the straight path.

    Raises:
        AnalysisError: The dimension is out of range, here and below.
    """
    _check(dimension)
    return Parts("flat simplex", dimension + 1, (), (tuple(range(dimension + 1)),))


def star(dimension: int) -> Parts:
    """Straight arms from one free point to every corner: what joins all of them pairwise, at the least cost."""
    _check(dimension)
    corners = dimension + 1
    return Parts("star", corners, (tuple(range(corners)),), tuple((one, corners) for one in range(corners)))


def cone(dimension: int) -> Parts:
    """Simplexes through one free point, each with all corners but one; edges between corners stay straight."""
    _check(dimension)
    corners = dimension + 1
    sides = itertools.combinations(range(corners), dimension)
    return Parts("cone", corners, (tuple(range(corners)),), tuple((*side, corners) for side in sides))


def subdivision(dimension: int) -> Parts:
    """A simplex whose every edge, face and so on has a free point in its middle (its barycentric subdivision)."""
    _check(dimension)
    corners = dimension + 1
    faces = [face for size in range(2, corners + 1) for face in itertools.combinations(range(corners), size)]
    numbers = {(corner,): corner for corner in range(corners)} | {face: corners + i for i, face in enumerate(faces)}
    flags = itertools.permutations(range(corners))
    simplexes = tuple(tuple(numbers[tuple(sorted(flag[: n + 1]))] for n in range(corners)) for flag in flags)
    return Parts("subdivided simplex", corners, tuple(faces), simplexes)


def _check(dimension: int) -> None:
    if not 1 <= dimension <= _MOST_DIMENSIONS:
        raise AnalysisError(f"dimension of a simplex must lie in 1..{_MOST_DIMENSIONS}, not {dimension}")


def _spread(free: int) -> Float32Array:
    """float32 (free, 2): evenly on the straight path."""
    at = np.arange(1, free + 1, dtype=np.float32)[:, None] / np.float32(free + 1)
    return np.concatenate([1 - at, at], axis=1)


def _stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return (np.arange(count) + rng.random(count)) / count


def _ends_first(weights: NDArray[np.float64]) -> Float32Array:
    """Weights of points in their order on the curve become those of the ends, then of the points between."""
    return weights[:, [0, -1, *range(1, weights.shape[1] - 1)]].astype(np.float32)
