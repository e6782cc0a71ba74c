"""Networks side by side: how far every layer of one is from every layer of another, and how far their paths are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from detector.research.representation.path import RepresentationPath
    from detector.research.representation.spaces.base import Array, LengthSpace


def layer_distances(one: RepresentationPath, other: RepresentationPath, space: LengthSpace) -> Array:
    """How far each layer of a network is from each of another, float64 (len(one), len(other)).

    Raises:
        AnalysisError: They are not of the same images.
    """
    return space.distances(one.points, one.points if one is other else other.points)


def path_distance(distances: Array) -> float:
    """How far two paths are apart, however many points each has: the mean distance of points that go together.

    Both are walked from first to last point, one or both a point on at each step, so that the distances of all pairs
    passed have the smallest sum (dynamic time warping); the mean is over these pairs.

    Args:
        distances: As of `layer_distances`, (L, M), L and M >= 1.

    Raises:
        AnalysisError: There is no pair.
    """
    if distances.size == 0:
        raise AnalysisError("paths: there is no layer to compare")
    rows, columns = distances.shape
    cost = np.full((rows, columns), np.inf)
    pairs = np.zeros((rows, columns))
    for row, column in np.ndindex(rows, columns):
        before = [(row - 1, column), (row, column - 1), (row - 1, column - 1)]
        there = [place for place in before if min(place) >= 0]
        best = min(there, key=lambda place: float(cost[place]), default=None)
        cost[row, column] = distances[row, column] + (cost[best] if best else 0)
        pairs[row, column] = 1 + (pairs[best] if best else 0)
    return float(cost[-1, -1] / pairs[-1, -1])


def same_layer(distances: Array) -> Array:
    """How far two networks of one architecture are apart at each of their layers, float64 (L,).

    Args:
        distances: As of `layer_distances`, (L, L).

    Raises:
        AnalysisError: They have not as many layers.
    """
    if distances.shape[0] != distances.shape[1]:
        raise AnalysisError(f"paths: networks of {' and '.join(map(str, distances.shape))} layers have no common ones")
    return np.diagonal(distances).copy()
