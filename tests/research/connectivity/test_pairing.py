from __future__ import annotations

import numpy as np
import pytest

from detector.research.connectivity.pairing import class_pairs, evenly, of_another_class, of_class


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
