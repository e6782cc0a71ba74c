"""Points of a space in two dimensions, to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from detector.errors import AnalysisError
from detector.research.representation.spaces.base import Space
from detector.research.representation.spaces.means import frechet_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.representation.spaces.base import Array, LengthSpace

_FEWEST = 3
_STEPS = 500
_SMALLEST = 1e-12


def curvature_of(space: LengthSpace) -> float | None:
    """Of a space; None where it is not known, or the same nowhere."""
    return space.curvature if isinstance(space, Space) else None


def plane_map(distances: Array, curvature: float | None) -> Array:
    """Points on a plane from their distances: by way of a sphere where they lie on one.

    Args:
        distances: As for `flat_map`.
        curvature: As of `curvature_of`.

    Returns:
        float64 (N, 2).

    Raises:
        AnalysisError: As `flat_map`.
    """
    return azimuthal(sphere_map(distances)) if curvature == 1 else flat_map(distances)


def flat_map(distances: Array) -> Array:
    """Classical multidimensional scaling: the plane in which distances are best kept.

    Args:
        distances: float64 (N, N), symmetric, zero diagonal, N >= 3.

    Returns:
        float64 (N, 2), about its centre, the first axis the longest; each axis turned so that the last point lies on
        its positive side.

    Raises:
        AnalysisError: It is no such matrix.
    """
    _check(distances)
    count = len(distances)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-centring @ distances**2 @ centring / 2)
    found = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    signs = np.where(found[-1] < 0, -1.0, 1.0)
    return np.asarray(found * signs)


def sphere_map(distances: Array) -> Array:
    """Spherical multidimensional scaling: points on the common sphere whose angles are nearest to the distances.

    Starts from the three strongest directions of the matrix of cosines, and descends (L-BFGS) on the squared
    differences of angles.

    Args:
        distances: float64 (N, N), symmetric, zero diagonal, radians in [0, pi], N >= 3.

    Returns:
        float64 (N, 3), of length 1.

    Raises:
        AnalysisError: It is no such matrix.
    """
    _check(distances)
    if distances.max() > np.pi:
        raise AnalysisError(f"map: distances on a sphere are at most pi, not {distances.max():g}")
    values, vectors = np.linalg.eigh(np.cos(distances))
    start = vectors[:, :-4:-1] * np.sqrt(np.maximum(values[:-4:-1], 1e-9))
    upper = np.triu_indices(len(distances), 1)
    wanted = distances[upper]

    def stress(flat: Any) -> tuple[float, Any]:
        rows = flat.reshape(-1, 3)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        ends = rows / lengths
        cosines = np.clip((ends @ ends.T)[upper], -1 + 1e-12, 1 - 1e-12)
        wrong = np.arccos(cosines) - wanted
        pull = np.zeros(distances.shape)
        pull[upper] = -2 * wrong / np.sqrt(1 - cosines**2)
        along = (pull + pull.T) @ ends
        across = (along - (along * ends).sum(1, keepdims=True) * ends) / lengths
        return float((wrong**2).sum()), across.ravel()

    found = minimize(stress, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    rows = found.x.reshape(-1, 3)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def azimuthal(points: Array) -> Array:
    """Points on a sphere laid out about their mean: each at its angle from it, in its direction (equidistant).

    Args:
        points: float64 (N, 3), of length 1.

    Returns:
        float64 (N, 2); of the sphere's mirror images, that whose last point lies to the right of the middle, and above.
    """
    pole = points.mean(0)
    norm = np.linalg.norm(pole)
    pole = pole / norm if norm > _SMALLEST else points[0]
    across = points - (points @ pole)[:, None] * pole
    _, _, rows = np.linalg.svd(across)
    plane = across @ rows[:2].T
    angles = np.arctan2(np.linalg.norm(plane, axis=1), points @ pole)
    # sin(angle) is how far a point is from the pole's axis.
    found = plane / np.sinc(angles / np.pi)[:, None]
    return np.asarray(found * np.where(found[-1] < 0, -1.0, 1.0))


def principal_map(points: Sequence[Array], space: Space) -> tuple[Array, Array]:
    """Principal components on a manifold: of the tangents that lead from the Frechet mean to each point.

    Args:
        points: Three or more.
        space: Where.

    Returns:
        float64 (N, 2), and the shares of the tangents' squared lengths that both components have, (2,).

    Raises:
        AnalysisError: There are too few points, or they have no mean.
    """
    if len(points) < _FEWEST:
        raise AnalysisError(f"map: three points or more are needed, not {len(points)}")
    mean = frechet_mean(space, points)
    tangents = [space.log(mean, point) for point in points]
    products = np.array([[space.inner(mean, one, other) for other in tangents] for one in tangents])
    centring = np.eye(len(points)) - 1 / len(points)
    values, vectors = np.linalg.eigh(centring @ products @ centring)
    kept = np.maximum(values[:-3:-1], 0)
    return np.asarray(vectors[:, :-3:-1] * np.sqrt(kept)), kept / max(np.maximum(values, 0).sum(), _SMALLEST)


def _check(distances: Array) -> None:
    square = distances.ndim == 2 and distances.shape[0] == distances.shape[1]  # noqa: PLR2004 - a matrix
    if not square or len(distances) < _FEWEST or not np.isfinite(distances).all():
        raise AnalysisError(f"map: finite distances of three points or more are needed, not {distances.shape}")
    if not np.allclose(distances, distances.T) or np.abs(np.diagonal(distances)).max() > 1e-6:  # noqa: PLR2004 - rounding
        raise AnalysisError("map: distances must be symmetric, and each point's to itself 0")
