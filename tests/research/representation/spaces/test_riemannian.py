"""The affine-invariant Riemannian space against answers in closed form and SciPy's functions of matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm, inv, logm, sqrtm

from detector.research.representation.spaces.riemannian import AffineInvariant
from tests.research.representation.material import activations, one_hot, related, rotated

SPACE = AffineInvariant()
A, B = np.diag([1.0, 1.0]), np.diag([np.e, np.e**2])


def _definite(seed: int, size: int) -> np.ndarray:
    half = np.random.default_rng(seed).normal(size=(size, size + 2))
    return half @ half.T


def test_what_commutes_is_known_by_its_eigenvalues() -> None:
    assert SPACE.distance(A, B) == pytest.approx(5**0.5)
    np.testing.assert_allclose(SPACE.between(A, B, 0.5), np.diag([np.e**0.5, np.e]))
    np.testing.assert_allclose(SPACE.log(A, B), np.diag([1.0, 2.0]), atol=1e-12)
    np.testing.assert_allclose(SPACE.exp(A, np.diag([1.0, 2.0])), B)
    assert SPACE.inner(2 * A, A, B) == pytest.approx((np.e + np.e**2) / 4)


@pytest.mark.parametrize("seed", range(3))
def test_the_middle_of_two_by_two_matrices_is_known(seed: int) -> None:
    """Their geometric mean: (alpha beta)^1/2 (A/alpha + B/beta) / det(A/alpha + B/beta)^1/2, alpha = det(A)^1/2."""
    a, b = _definite(seed, 2), _definite(seed + 10, 2)
    alpha, beta = np.linalg.det(a) ** 0.5, np.linalg.det(b) ** 0.5
    whole = a / alpha + b / beta
    expected = (alpha * beta) ** 0.5 * whole / np.linalg.det(whole) ** 0.5
    np.testing.assert_allclose(SPACE.between(a, b, 0.5), expected, rtol=1e-9)


def test_maps_are_those_of_matrix_functions() -> None:
    a, b = _definite(0, 5), _definite(1, 5)
    half, back = sqrtm(a), inv(sqrtm(a))
    tangent = half @ logm(back @ b @ back) @ half
    np.testing.assert_allclose(SPACE.log(a, b), tangent, atol=1e-9)
    np.testing.assert_allclose(SPACE.exp(a, tangent / 3), half @ expm(back @ tangent @ back / 3) @ half, atol=1e-9)
    assert SPACE.distance(a, b) == pytest.approx(float(np.linalg.norm(logm(back @ b @ back))))
    one, other = a + b, b - a
    assert SPACE.inner(a, one, other) == pytest.approx(float(np.trace(inv(a) @ one @ inv(a) @ other)))


def test_distances_and_middles_of_matrices_are_affine_invariant() -> None:
    a, b = _definite(0, 6), _definite(1, 6)
    by = np.random.default_rng(2).normal(size=(6, 6))
    moved = by @ a @ by.T, by @ b @ by.T
    assert SPACE.distance(*moved) == pytest.approx(SPACE.distance(a, b), rel=1e-9)
    assert SPACE.distance(inv(a), inv(b)) == pytest.approx(SPACE.distance(a, b), rel=1e-9)
    np.testing.assert_allclose(SPACE.between(*moved, 0.3), by @ SPACE.between(a, b, 0.3) @ by.T, atol=1e-8)


def test_a_gram_matrix_is_scaled_and_then_given_its_ridge() -> None:
    values = activations(0)
    level = values - values.mean(0)
    gram = level @ level.T
    expected = gram / np.linalg.eigvalsh(gram).mean() + 0.05 * np.eye(len(gram))
    np.testing.assert_allclose(SPACE.point(values), expected, atol=1e-12)
    assert np.linalg.eigvalsh(SPACE.point(one_hot(3))).min() == pytest.approx(0.05)


@pytest.mark.parametrize("units", [5, 9, 40])
def test_a_covariance_is_that_along_the_rows_of_vh(units: int) -> None:
    """And not along its columns, which are other directions: these lose variance."""
    kept = 5
    values = activations(0, units)
    level = values - values.mean(0)
    _, lengths, rows = np.linalg.svd(level)
    expected = lengths[:kept] ** 2
    point = AffineInvariant(components=kept).point(values)
    np.testing.assert_allclose(point, np.diag(expected / expected.mean() + 0.05), atol=1e-9)
    along_columns = level @ rows[:, :kept]
    if units > kept:
        assert np.square(along_columns).sum() < 0.95 * expected.sum()


def test_a_covariance_is_a_spectrum() -> None:
    """Layers that share no more than how much they vary along each direction are one point."""
    space = AffineInvariant(components=5)
    one = activations(0, 5)
    shuffled = np.random.default_rng(0).permutation(one)
    assert space.distance(space.point(one), space.point(shuffled)) < 1e-9
    assert SPACE.distance(SPACE.point(one), SPACE.point(shuffled)) > 1


@pytest.mark.parametrize("space", [AffineInvariant(), AffineInvariant(components=12)], ids=lambda space: space.name)
def test_rotations_of_few_units_are_the_same_point_also_of_a_covariance(space: AffineInvariant) -> None:
    assert space.distance(space.point(activations(0, 4)), space.point(rotated(activations(0, 4)))) < 1e-9


def test_what_differs_in_rank_is_as_far_apart_as_the_ridge_is_small() -> None:
    one, other = one_hot(2), related(1, 0.5)
    far = [
        (space := AffineInvariant(ridge=ridge)).distance(space.point(one), space.point(other))
        for ridge in (1e-1, 1e-3, 1e-5)
    ]
    assert far[1] - far[0] > 5
    assert far[2] - far[1] == pytest.approx(np.log(100) * 8**0.5, rel=0.02)  # ranks 1 and 7


def test_names_say_the_options() -> None:
    assert AffineInvariant(ridge=0.1).name == "riemannian-ridge-0.1"
    assert AffineInvariant(components=8).name == "riemannian-covariance-8"
