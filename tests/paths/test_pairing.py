from __future__ import annotations

import numpy as np
import pytest

from detector.paths.pairing import class_pairs, evenly, of_another_class, of_class


@pytest.mark.parametrize("seed", range(5))
def test_pairs_have_one_class_or_two_and_share_no_image(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 5, 101)
    for same in (True, False):
        pairs = class_pairs(labels, seed, same=same)
        assert ((labels[pairs[:, 0]] == labels[pairs[:, 1]]) == same).all()
        assert len(np.unique(pairs)) == pairs.size
        np.testing.assert_array_equal(pairs, class_pairs(labels, seed, same=same))
        assert not np.array_equal(pairs, class_pairs(labels, seed + 1, same=same))


def test_of_one_class_only_an_odd_image_is_left_out() -> None:
    labels = np.array([0] * 4 + [1] * 5 + [2])
    counts = np.bincount(labels[class_pairs(labels, 0, same=True)[:, 0]])
    assert counts.tolist() == [2, 2]


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_make_no_pair(count: int, *, same: bool) -> None:
    assert class_pairs(np.zeros(count, np.int64), 0, same=same).shape == (0, 2)


def test_classes_take_turns_until_one_has_no_more() -> None:
    labels = np.array([0] * 12 + [1] * 6 + [2] * 2)
    pairs = class_pairs(labels, 0, same=True)
    for count, expected in ((3, [1, 1, 1]), (5, [2, 2, 1]), (8, [4, 3, 1]), (99, [6, 3, 1])):
        chosen = evenly(pairs, labels, count)
        assert np.bincount(labels[chosen[:, 0]]).tolist() == expected
        assert len(np.unique(chosen)) == chosen.size


def test_an_image_of_another_class_is_none_of_that_class_and_used_once_for_it() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 60)
    classes = np.repeat(np.arange(4), 10)
    rows = of_another_class(classes, labels, 0)
    assert (labels[rows] != classes).all()
    for label in range(4):
        assert len(np.unique(rows[classes == label])) == 10
    assert of_another_class(np.array([0, 0]), np.zeros(3, np.int64), 0).tolist() == [-1, -1]


def test_a_partner_has_the_class_wanted_or_there_is_none() -> None:
    labels = np.array([0, 0, 2])
    assert of_class(np.array([2, 1]), labels, 0).tolist() == [2, -1]
    assert of_class(np.array([0]), labels, 0)[0] in {0, 1}
