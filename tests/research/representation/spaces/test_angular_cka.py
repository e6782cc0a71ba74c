"""Angular CKA against slow twins, which share no line with it, and what is known of its bias.

repsim and netrep, which the method's authors use, are on no registry that this project installs from. The twin is the
definition of CKA in loops (Kornblith et al. 2019), and for the linear kernel the same from products of units.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.research.representation.spaces.kernels import Kernel
from tests.research.representation.material import activations, one_hot, related, rotated


def _slow_cka(one: np.ndarray, other: np.ndarray, kernel: Kernel, *, masked: bool) -> float:
    """The arc cosine of CKA, entry by entry."""
    grams = []
    for values in (one, other):
        inputs = len(values)
        length = np.median(pdist(values))
        similar = np.zeros((inputs, inputs))
        for i in range(inputs):
            for j in range(inputs):
                far = float(np.sqrt(((values[i] - values[j]) ** 2).sum()))
                similar[i, j] = {
                    Kernel.LINEAR: float(values[i] @ values[j]),
                    Kernel.SQUARED_EXPONENTIAL: float(np.exp(-((far / length) ** 2) / 2)),
                    Kernel.LAPLACE: float(np.exp(-far / length)),
                }[kernel]
        centring = np.eye(inputs) - 1 / inputs
        grams.append(centring @ similar @ centring)
    inputs = len(one)

    def products(left: np.ndarray, right: np.ndarray) -> float:
        return sum(left[i, j] * right[i, j] for i in range(inputs) for j in range(inputs) if i != j or not masked)

    a, b = grams
    return float(np.arccos(products(a, b) / np.sqrt(products(a, a) * products(b, b))))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kernel", list(Kernel))
def test_distances_are_those_of_the_definition_in_loops(kernel: Kernel, masked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    space = AngularCKA(kernel, masked=masked)
    one, other = activations(0, 5), activations(1, 9)
    expected = _slow_cka(one, other, kernel, masked=masked)
    assert space.distance(space.point(one), space.point(other)) == pytest.approx(expected, abs=1e-10)


def test_the_linear_kernel_is_that_of_products_of_units() -> None:
    space = AngularCKA(masked=False)
    one, other = (values - values.mean(0) for values in (activations(0, 5), related(1, 0.4)))
    shared = np.linalg.norm(other.T @ one) ** 2
    cka = shared / (np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other))
    assert np.cos(space.distance(space.point(one), space.point(other))) == pytest.approx(cka, abs=1e-12)


def test_a_given_length_is_in_the_activations_units() -> None:
    values = activations(0)
    given = AngularCKA(Kernel.LAPLACE, length=float(np.median(pdist(values))))
    np.testing.assert_allclose(given.point(values), AngularCKA(Kernel.LAPLACE).point(values), atol=1e-12)
    assert given.distance(given.point(values), given.point(3 * values)) > 0.05


@pytest.mark.parametrize("kernel", [Kernel.LAPLACE, Kernel.SQUARED_EXPONENTIAL])
def test_with_a_tiny_length_all_inputs_are_equally_far_apart(kernel: Kernel) -> None:
    """As targets are of which each has a class of its own."""
    space = AngularCKA(kernel, length=1e-300)
    np.testing.assert_allclose(space.point(activations(0)), AngularCKA().point(np.eye(30)), atol=1e-15)


@pytest.mark.parametrize("masked", [True, False])
def test_points_are_symmetric_of_length_one_and_have_a_diagonal_or_none(masked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    point = AngularCKA(Kernel.LAPLACE, masked=masked).point(activations(0))
    np.testing.assert_allclose(point, point.T, atol=1e-15)
    assert np.linalg.norm(point) == pytest.approx(1, abs=1e-14)
    assert bool((np.diag(point) == 0).all()) == masked
    if not masked:
        np.testing.assert_allclose(point.sum(0), 0, atol=1e-14)
        assert np.linalg.eigvalsh(point).min() > -1e-14


def test_masked_points_may_lie_further_apart_than_a_right_angle() -> None:
    masked, whole = AngularCKA(), AngularCKA(masked=False)
    pairs = [(activations(seed, 2, 8), activations(seed + 100, 2, 8)) for seed in range(40)]
    far = [[space.distance(space.point(one), space.point(other)) for one, other in pairs] for space in (masked, whole)]
    assert max(far[0]) > np.pi / 2
    assert max(far[1]) <= np.pi / 2


def test_unrelated_layers_are_a_right_angle_apart_with_a_mask_and_seem_alike_without() -> None:
    generator = np.random.default_rng(0)
    pairs = generator.normal(size=(6, 2, 100, 50))
    for inputs, least, most in ((30, 1.45, 0.95), (100, 1.55, 1.25)):
        far = []
        for masked in (True, False):
            space = AngularCKA(masked=masked)
            points = [[space.point(each[:inputs]) for each in pair] for pair in pairs]
            far.append(np.mean([space.distance(*pair) for pair in points]))
        assert least < far[0] < 1.6
        assert 0.8 < far[1] < most


def test_the_mask_takes_bias_away_which_vanishes_with_inputs() -> None:
    """The two differ at 50 inputs and not at 1,000, and the masked one says early what both say late."""
    gaps, errors = [], []
    weights = [np.random.default_rng(seed).normal(size=(20, 40)) for seed in (1, 2)]
    inputs = np.random.default_rng(0).normal(size=(1_500, 20))

    def far(rows: slice, *, masked: bool) -> float:
        space = AngularCKA(masked=masked)
        return space.distance(*(space.point(np.tanh(inputs[rows] @ each)) for each in weights))

    truth = far(slice(None), masked=True)
    for count in (50, 250, 1_000):
        both = [far(slice(count), masked=masked) for masked in (False, True)]
        gaps.append(both[1] - both[0])
        errors.append([abs(each - truth) for each in both])
    assert all(late < early / 2 for early, late in pairwise(gaps))
    assert gaps[0] > 0.05
    assert gaps[-1] < 0.02
    assert errors[0][1] < errors[0][0] / 2


def test_tiny_distances_are_exact() -> None:
    """1e-7 below 1, an arc cosine is off by much more than these distances."""
    space = AngularCKA()
    a, other = space.point(activations(0)), space.point(activations(1))
    unit = space.log(a, other) / space.distance(a, other)
    for far in (1e-3, 1e-6, 1e-9, 1e-12):
        near = space.exp(a, far * unit)
        assert space.distance(a, near) == pytest.approx(far, rel=1e-3)
        assert space.distances([a], [near])[0, 0] == pytest.approx(far, rel=1e-3)
        assert np.pi - space.distance(a, -near) == pytest.approx(far, rel=1e-3, abs=1e-15)


def test_targets_of_classes_are_a_point_like_any_other() -> None:
    space = AngularCKA(Kernel.LAPLACE)
    two, ten = space.point(one_hot(2)), space.point(one_hot(10))
    assert 0.1 < space.distance(two, ten) < np.pi
    assert space.distance(ten, space.point(rotated(one_hot(10)))) < 1e-12


def test_names_say_the_options() -> None:
    assert AngularCKA().name == "angular-cka"
    assert AngularCKA(Kernel.LAPLACE).name == "angular-cka-laplace"
    assert AngularCKA(Kernel.SQUARED_EXPONENTIAL, 2.5, masked=False).name == (
        "angular-cka-squared-exponential-length-2.5-unmasked"
    )
