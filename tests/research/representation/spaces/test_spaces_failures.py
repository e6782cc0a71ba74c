"""What is no layer, no point, no line and no option is refused, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.research.representation.spaces.geometry import alexandrov_curvature, angle, angle_by_sides, project
from detector.research.representation.spaces.kernels import Kernel
from detector.research.representation.spaces.means import frechet_mean
from detector.research.representation.spaces.registry import space_named
from detector.research.representation.spaces.riemannian import AffineInvariant
from detector.research.representation.spaces.shape import Shape
from tests.research.representation.material import FULL, activations, every_space, one_hot, related

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.research.representation.spaces.base import Array, Space

VALUES = activations(0)


def _with(value: float) -> Array:
    values = VALUES.copy()
    values[3, 2] = value
    return values


@every_space
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (VALUES[:3], "3 inputs; 4 to 10000 make a point"),
        (np.zeros((10_001, 1)), "10001 inputs"),
        (VALUES[0], r"\(inputs, units\), not float64 of shape \(7,\)"),
        (VALUES[:, :0], r"of shape \(30, 0\)"),
        (VALUES.reshape(30, 7, 1), "of shape"),
        (VALUES + 1j, "real numbers .* not complex128"),
        (VALUES.astype(object), "not object"),
        (_with(np.nan), "not finite"),
        (_with(np.inf), "not finite"),
        (_with(1e200), "larger than 1e"),
        (np.zeros((30, 7)), "the same for every input"),
        (np.full((30, 7), 0.1), "the same for every input"),
        (np.ones((30, 1)) * np.random.default_rng(0).normal(size=7) * 1e6, "the same for every input"),
        (VALUES * 1e-120, "the same for every input"),
    ],
)
def test_what_is_no_layer_is_no_point(space: Space, values: Array, said: str) -> None:
    with pytest.raises(AnalysisError, match=said) as caught:
        space.point(values)
    assert str(caught.value).startswith(f"{space.name}: ")


@every_space
@pytest.mark.parametrize(
    "act",
    [
        lambda space, a, b: space.distance(a, b),
        lambda space, a, b: space.distances([a, a], [a, b]),
        lambda space, a, b: space.between(a, b, 0.5),
        lambda space, a, b: space.log(a, b),
        lambda space, a, b: space.exp(a, b),
        lambda space, a, b: space.inner(a, a, b),
        lambda space, a, b: space.tangent(a, b),
        lambda space, a, b: angle(space, a, b, a),
        lambda space, a, b: project(space, a, b, a),
        lambda space, a, b: alexandrov_curvature(space, a, b, a),
        lambda space, a, b: frechet_mean(space, [a, b]),
    ],
)
def test_points_of_other_inputs_are_refused(space: Space, act: Callable[[Space, Array, Array], object]) -> None:
    if space.name.startswith("riemannian-covariance"):
        space = AffineInvariant()  # a covariance does not tell of how many inputs it is
    a = space.point(VALUES)
    with pytest.raises(AnalysisError, match=r"points of shapes .* are not of the same inputs"):
        act(space, a, space.point(VALUES[:20]))


@every_space
@pytest.mark.parametrize(
    "values",
    [one_hot(2), one_hot(10), activations(0, 1), np.repeat(VALUES[:10], 3, 0), VALUES[:, [0, 0, 0]], VALUES[:4]],
    ids=["two classes", "ten classes", "one unit", "inputs thrice", "units thrice", "four inputs"],
)
def test_what_lacks_rank_is_a_point(space: Space, values: Array) -> None:
    """Distances, lines and angles are numbers, and a line leads where it should."""
    a, b = space.point(values), space.point(activations(1, FULL)[: len(values)])
    far = space.distance(a, b)
    assert np.isfinite(far)
    assert space.distance(space.between(a, b, 0.5), b) == pytest.approx(far / 2, rel=1e-5)
    assert space.distance(space.between(b, a, 1.0), a) < 1e-5
    if far > 1e-6:
        assert angle(space, space.between(a, b, 0.5), a, b) == pytest.approx(np.pi, abs=1e-4)


@every_space
def test_an_angle_needs_two_lines_and_a_projection_one(space: Space) -> None:
    a, b = space.point(activations(0, FULL)), space.point(related(1, 0.5, FULL))
    for measure in (angle, angle_by_sides):
        with pytest.raises(AnalysisError, match="one of them has no length"):
            measure(space, a, b, a)
    with pytest.raises(AnalysisError, match="a line needs two points"):
        project(space, a, a, b)


@every_space
def test_a_mean_needs_points_and_weights_that_fit(space: Space) -> None:
    a = space.point(VALUES)
    with pytest.raises(AnalysisError, match="no points have no mean"):
        frechet_mean(space, [])
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(AnalysisError, match="one for each of 2 points"):
            frechet_mean(space, [a, a], weights=weights)


def test_a_mean_that_does_not_settle_says_so() -> None:
    space = AngularCKA()
    points = [space.point(activations(seed)) for seed in range(5)]
    with pytest.raises(AnalysisError, match="the mean of 5 points has not settled after 2 steps"):
        frechet_mean(space, points, most_steps=2)


def test_opposite_points_have_no_single_line() -> None:
    space = AngularCKA()
    a = space.point(VALUES)
    for act in (space.log, lambda a, b: space.between(a, b, 0.5)):
        with pytest.raises(AnalysisError, match="angular-cka: two points are opposite"):
            act(a, -a)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AngularCKA(length=1.0), "the linear kernel has no length"),
        (lambda: AngularCKA(Kernel.LAPLACE, length=0.0), "a length scale is above 0, not 0.0"),
        (lambda: AngularCKA(Kernel.LAPLACE, length=float("nan")), "a length scale is above 0"),
        (lambda: Shape(1.5), "alpha is a share from 0 to 1, not 1.5"),
        (lambda: Shape(float("nan")), "alpha is a share"),
        (lambda: Shape(components=0), "at least 1 component"),
        (lambda: AffineInvariant(ridge=0.0), "a ridge is at least 1e-09, not 0.0"),
        (lambda: AffineInvariant(ridge=float("nan")), "a ridge is at least"),
        (lambda: AffineInvariant(components=0), "at least 1 component"),
        (lambda: space_named("cka"), "there is no 'cka'; there are angular-cka, .*stress-rescaled"),
    ],
)
def test_what_makes_no_space_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        make()


@pytest.mark.parametrize("kernel", [Kernel.LAPLACE, Kernel.SQUARED_EXPONENTIAL])
def test_a_length_scale_far_from_the_activations_is_refused(kernel: Kernel) -> None:
    with pytest.raises(AnalysisError, match="with this length scale all inputs are alike"):
        AngularCKA(kernel, length=1e30).point(VALUES)


def test_a_matrix_that_is_not_positive_definite_is_no_point() -> None:
    space, bad = AffineInvariant(), np.diag([1.0, -1.0])
    good = np.eye(2)
    for act in (space.distance, space.log, lambda a, b: space.between(a, b, 0.5)):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(AnalysisError, match="riemannian: a matrix is not positive definite"):
                act(*pair)


def test_a_tangent_that_leads_too_far_is_refused() -> None:
    with pytest.raises(AnalysisError, match="can't be told in float64"):
        AffineInvariant().exp(np.eye(2), 1e3 * np.eye(2))
