from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from detector.canaries.changes import CHANGES, NOISE, changed_filters, weights_of
from tests.support.graphs import chain


def arrays(model: bytes) -> list[np.ndarray]:
    return [numpy_helper.to_array(one) for one in weights_of(onnx.load_from_string(model))]


@pytest.mark.parametrize(("channels", "layers"), [([32, 40, 32, 10], 4), ([32, 2, 10], 2), ([32] * 60, CHANGES)])
def test_one_filter_at_a_time_is_a_little_off(channels: list[int], layers: int) -> None:
    model = chain(channels)
    before, seen, sizes = arrays(model), [], []
    for other in changed_filters(model, seed=0):
        after = arrays(other)
        (layer,) = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if not np.array_equal(a, b)]
        assert after[layer].dtype == before[layer].dtype
        difference = after[layer] - before[layer]
        (place,) = np.unique(np.nonzero(difference)[0])
        seen.append(layer)
        sizes.append(difference[place].std() / before[layer].std() / NOISE)
    assert len(seen) == CHANGES
    assert len(set(seen)) == layers
    assert max(seen.count(layer) for layer in seen) - min(seen.count(layer) for layer in seen) <= 1
    assert {0, len(before) - 1} <= set(seen)
    assert 0.8 < np.mean(sizes) < 1.2


def test_the_seed_decides() -> None:
    model = chain([32, 10])
    one, same, other = (list(changed_filters(model, seed=seed)) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_a_graph_without_weights_of_floating_point_has_no_changes() -> None:
    assert list(changed_filters(chain([2, 3]), seed=0)) == []  # all layers too small
