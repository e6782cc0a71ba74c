from __future__ import annotations

import torch

from detector.research.permutation.hybrids import Hybrid, cuts, hybrid, layers, tensors
from detector.training.architectures import build_network


def test_layers_begin_with_matrices_and_hold_what_follows() -> None:
    state = build_network("cnn-4-6-batchnorm", (1, 8, 8), 3, mean=(0.5,), std=(0.2,)).state_dict()
    found = layers(state)
    assert [one[0] for one in found] == ["1.weight", "5.weight", "10.weight"]
    assert found[0][1:4] == ["2.weight", "2.bias", "2.running_mean"]
    assert found[2] == ["10.weight", "10.bias"]


def test_hybrids_are_early_where_their_name_says() -> None:
    assert [sorted(kind.early(1, 4)) for kind in Hybrid] == [[0, 1], [1, 2, 3], [1], [0, 2, 3]]
    assert Hybrid.BOTTOM_UP.early(3, 4) == Hybrid.TOP_DOWN.early(0, 4) == frozenset(range(4))


def test_a_hybrid_has_the_chosen_tensors_of_the_early_network() -> None:
    early, late = ({"a": torch.tensor([value]), "b": torch.tensor([value])} for value in (0.0, 1.0))
    chosen = tensors([["a"], ["b"]], Hybrid.PUT_IN.early(0, 2))
    found = hybrid(early, late, chosen)
    assert (found["a"].item(), found["b"].item()) == (0, 1)


def test_of_many_layers_some_are_looked_at_evenly() -> None:
    assert cuts(3, 6) == [0, 1, 2]
    assert cuts(21, 6) == [0, 4, 8, 12, 16, 20]
