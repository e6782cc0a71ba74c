"""Stress against SciPy's distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from detector.research.representation.spaces.kernels import apart
from detector.research.representation.spaces.stress import Stress
from tests.research.representation.material import activations, one_hot


def test_points_are_scipys_distances() -> None:
    values = activations(0)
    np.testing.assert_allclose(Stress().point(values), pdist(values), rtol=1e-10)
    rescaled = Stress(rescaled=True).point(values)
    np.testing.assert_allclose(rescaled, pdist(values) / np.median(pdist(values)), rtol=1e-10)


def test_distance_is_the_root_mean_square_of_differences() -> None:
    one, other = activations(0), activations(1)
    expected = np.sqrt(np.mean((pdist(one) - pdist(other)) ** 2))
    assert Stress().distance(Stress().point(one), Stress().point(other)) == pytest.approx(expected)


def test_targets_of_classes_are_rescaled_by_inputs_that_differ() -> None:
    """Of two classes with 25 and 5 inputs, the median of all pairs would be 0."""
    values = np.eye(2)[np.repeat([0, 1], [25, 5])]
    assert np.median(pdist(values)) == 0
    assert set(Stress(rescaled=True).point(values)) == {0.0, 1.0}


def test_equal_inputs_are_not_apart_by_rounding() -> None:
    values = np.random.default_rng(0).normal(size=(10, 300))[np.arange(30) % 10]
    values -= values.mean(0)
    far = apart(values)
    assert (far[:10, 10:20].diagonal() == 0).all()
    assert (apart(one_hot(3) - 1 / 3) == 0).sum() == 3 * 10**2
