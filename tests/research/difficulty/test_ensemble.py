"""Scores of several runs: known small answers, an estimator that finds what was put in, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.difficulty.ensemble import agreement, consistency_and_memorisation, parts


def test_agreement_is_counted_as_by_hand() -> None:
    found = agreement(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 0, 2]]), np.array([0, 1, 1, 0]), 3)
    np.testing.assert_allclose(found.meanacc, [1, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(found.consensus, [1, 2 / 3, 1 / 3, 1])
    assert found.ddd.tolist() == [1, 0, 0, -1]
    assert found.label.tolist() == [0, 1, 0, 2]  # of three that one each says, the first


def test_memorisation_is_what_training_on_an_example_changes() -> None:
    right = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]], bool)
    trained_on = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 1]], bool)
    consistency, memorisation = consistency_and_memorisation(right, trained_on)
    np.testing.assert_allclose(consistency, [0.5, 0, 0])
    np.testing.assert_allclose(memorisation, [0.5, 0.5, 1])


def test_the_estimator_finds_the_rates_that_were_put_in() -> None:
    generator = np.random.default_rng(0)
    trained_on = parts(5, 4000, 4, 0)
    inside, outside = np.array([1.0, 0.9, 0.5, 1.0, 0.2]), np.array([1.0, 0.3, 0.5, 0.0, 0.2])
    right = generator.random((4000, 5)) < np.where(trained_on, inside, outside)
    consistency, memorisation = consistency_and_memorisation(right, trained_on)
    np.testing.assert_allclose(consistency, outside, atol=0.06)
    np.testing.assert_allclose(memorisation, inside - outside, atol=0.06)


def test_every_example_is_left_out_as_often_as_every_other() -> None:
    trained_on = parts(22, 8, 4, 0)
    assert (~trained_on).sum(0).tolist() == [2] * 22
    assert set((~trained_on).sum(1)) == {5, 6}
    assert not np.array_equal(trained_on[:4], trained_on[4:])
    np.testing.assert_array_equal(trained_on, parts(22, 8, 4, 0))
    assert not np.array_equal(trained_on, parts(22, 8, 4, 1))


def test_what_says_nothing_is_refused() -> None:
    labels = np.array([0, 1])
    with pytest.raises(AnalysisError, match="needs two runs"):
        agreement(np.array([[0, 1]]), labels, 2)
    with pytest.raises(AnalysisError, match="a run that trained on it and one that did not"):
        consistency_and_memorisation(np.ones((2, 2), bool), np.array([[1, 1], [1, 0]], bool))
    for count, runs, folds in ((3, 4, 4), (9, 6, 4), (9, 1, 1), (9, 2, 4)):
        with pytest.raises(AnalysisError, match="folds must lie in"):
            parts(count, runs, folds, 0)
