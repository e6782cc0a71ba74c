"""The unit sphere in arrays of any shape: distances, lines and maps, exact also for points that almost coincide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array

_NEAR = 1 - 1e-4
_OPPOSITE = 1e-9


def distance(a: Array, b: Array) -> float:
    """The angle between two unit vectors in radians, in [0, pi].

    2 atan2(|a - b|, |a + b|) instead of arccos<a, b>, which is off by 1e-8 at 0 and at pi. For small distances this is
    2 asin(|a - b| / 2).
    """
    return 2 * float(np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))


def distances(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """`distance` of all pairs, (len(a), len(b)): one product of matrices, and again what is almost 0 or pi."""
    if not a or not b:
        return np.zeros((len(a), len(b)))
    rows = np.stack([point.ravel() for point in a])
    columns = rows if a is b else np.stack([point.ravel() for point in b])
    cosines = rows @ columns.T
    found = np.arccos(np.clip(cosines, -1, 1))
    for row, column in np.argwhere(np.abs(cosines) > _NEAR):
        if a is b and column <= row:
            found[row, column] = found[column, row]
        else:
            found[row, column] = distance(a[row], b[column])
    if a is b:
        np.fill_diagonal(found, 0)
    return found


def log(name: str, a: Array, b: Array) -> Array:
    """The tangent at `a` that leads to `b`.

    Raises:
        AnalysisError: They are opposite: every direction leads there.
    """
    far = distance(a, b)
    if np.pi - far < _OPPOSITE:
        raise AnalysisError(f"{name}: two points are opposite on the sphere; no single straight line joins them")
    across = tangent(a, b)
    length = float(np.linalg.norm(across))
    return across * (far / length) if length > 0 else np.zeros_like(a)


def exp(a: Array, along: Array) -> Array:
    """Where the great circle from `a` along a tangent is after the tangent's length."""
    length = float(np.linalg.norm(along))
    # sinc is sin(pi x) / (pi x), and 1 at 0.
    reached: Array = np.cos(length) * a + np.sinc(length / np.pi) * along
    return reached / np.linalg.norm(reached)


def tangent(a: Array, direction: Array) -> Array:
    """A direction less its part along `a`."""
    return direction - np.vdot(a, direction) * a
