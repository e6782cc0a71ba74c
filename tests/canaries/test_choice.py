from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from detector.canaries.choice import farthest_apart, most_moved

NONE = np.zeros(6, bool)


def test_every_change_is_seen_by_one_of_them() -> None:
    moved = np.full((3, 6), 1e-3)
    moved[0, 4], moved[1, 1], moved[2, 5] = 1, 2, 3
    assert sorted(most_moved(moved, 3, preferred=NONE, least=0)) == [1, 4, 5]


def test_one_that_sees_all_goes_before_those_that_see_one_each() -> None:
    moved = np.full((3, 6), 1e-3)
    moved[0, 4], moved[1, 1], moved[2, 5] = 1, 1, 1
    moved[:, 3] = 0.5
    assert most_moved(moved, 2, preferred=NONE, least=0)[0] == 3


def test_a_strong_change_counts_no_more_than_a_weak_one() -> None:
    moved = np.random.default_rng(0).random((5, 20))
    scale = np.array([[1], [1e3], [1e-3], [7], [1e6]])
    none = np.zeros(20, bool)
    np.testing.assert_array_equal(
        most_moved(moved, 6, preferred=none, least=0), most_moved(moved * scale, 6, preferred=none, least=0)
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_nearly_the_best_there_is(seed: int) -> None:
    moved = np.exp(np.random.default_rng(seed).normal(size=(8, 9)))

    def gain(chosen: tuple[int, ...]) -> float:
        value = np.maximum(np.log(moved) - np.log(moved).max(1, keepdims=True), -6)
        return float((value[:, list(chosen)].max(1) + 6).sum())

    best = max(gain(chosen) for chosen in combinations(range(9), 3))
    greedy = gain(tuple(most_moved(moved, 3, preferred=np.zeros(9, bool), least=0)))
    assert best >= greedy >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("least", [0, 2, 3, 4])
def test_some_are_preferred_though_they_see_less(least: int) -> None:
    moved = np.random.default_rng(1).random((4, 6))
    preferred = np.arange(6) < 3
    moved[:, preferred] *= 1e-2
    chosen = most_moved(moved, 4, preferred=preferred, least=least)
    assert preferred[chosen].sum() == max(1, min(least, 3))  # of three others there are no four
    assert len(set(chosen.tolist())) == 4


def test_all_are_taken_where_there_are_no_more() -> None:
    moved = np.random.default_rng(2).random((2, 6))
    assert sorted(most_moved(moved, 10, preferred=NONE, least=5)) == list(range(6))
    assert sorted(farthest_apart(np.zeros((4, 3)), 9, preferred=NONE[:4], least=2)) == [0, 1, 2, 3]


def test_answers_far_apart_on_a_line() -> None:
    answers = np.array([[0.0], [1], [10], [11], [5]])
    np.testing.assert_array_equal(farthest_apart(answers, 3, preferred=NONE[:5], least=0), [3, 0, 4])
    preferred = np.array([False, True, False, False, True])
    np.testing.assert_array_equal(farthest_apart(answers, 3, preferred=preferred, least=2), [3, 1, 4])
