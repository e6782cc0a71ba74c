from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.research.permutation.spec import (
    composed,
    identity,
    interpolated,
    inverse,
    permuted,
    random_permutations,
)
from detector.research.permutation.tracing import derive_spec, run_with
from tests.research.permutation.networks import (
    Attention,
    Gated,
    Joined,
    Residual,
    Strange,
    grouped,
    mlp,
    shared,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "MLP": (lambda: mlp(20, 12), [20, 12]),
    "one layer passed twice": (shared, [12]),
    "grouped convolution": (grouped, [2] * 8),
    "attention": (Attention, [16, *[4] * 8, 32]),
    "concatenation": (Joined, [8, 6, 10]),
    "gates": (Gated, [4, 4, 4, *[2] * 4]),
    "residual sums": (Residual, [6, 7, 4]),
    "an unknown operation": (Strange, [9]),
}
"""With the sizes of the groups that are to be found, in the order in which their units are made."""
BUILDERS = [builder for builder, _ in NETWORKS.values()]


def _network(builder: Callable[[], nn.Module]) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network with random parameters and statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = builder().eval()
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 0.9)
    return module, {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(("builder", "sizes"), NETWORKS.values(), ids=NETWORKS)
def test_all_symmetries_that_are_there_are_found(builder: Callable[[], nn.Module], sizes: list[int]) -> None:
    module, _ = _network(builder)
    assert [group.size for group in derive_spec(module, IMAGES).groups] == sizes


@pytest.mark.parametrize("builder", BUILDERS, ids=NETWORKS)
@pytest.mark.parametrize("seed", [5, 6])
def test_a_permuted_network_computes_the_same_of_other_weights(builder: Callable[[], nn.Module], seed: int) -> None:
    module, state = _network(builder)
    spec = derive_spec(module, IMAGES)
    moved = permuted(spec, {name: state[name] for name in spec.shapes}, random_permutations(spec, seed))
    assert any(not torch.equal(moved[name], state[name]) for name in moved)
    before = module(IMAGES)
    torch.testing.assert_close(run_with(module, moved, IMAGES), before, rtol=1e-4, atol=1e-4)
    assert torch.equal(module(IMAGES), before)


@pytest.mark.parametrize("builder", BUILDERS, ids=NETWORKS)
def test_permutations_are_undone_and_composed(builder: Callable[[], nn.Module]) -> None:
    module, state = _network(builder)
    spec = derive_spec(module, IMAGES)
    state = {name: state[name] for name in spec.shapes}
    one, two = random_permutations(spec, 1), random_permutations(spec, 2)
    at_once = permuted(spec, state, composed(one, two))
    in_turn = permuted(spec, permuted(spec, state, one), two)
    back = permuted(spec, permuted(spec, state, one), inverse(one))
    for name in state:
        assert torch.equal(at_once[name], in_turn[name])
        assert torch.equal(back[name], state[name])
    for group, permutation in composed(one, inverse(one)).items():
        np.testing.assert_array_equal(permutation, identity(spec)[group])


def test_networks_are_mixed_by_weight_and_whole_numbers_are_left() -> None:
    one, other = ({"w": torch.tensor([value]), "n": torch.tensor(7)} for value in (1.0, 3.0))
    mixed = interpolated([one, other], [0.25, 0.75])
    assert mixed["w"].item() == pytest.approx(2.5)
    assert mixed["n"].item() == 7
