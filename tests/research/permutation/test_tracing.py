from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.classifiers.program import Program
from detector.research.permutation.spec import (
    composed,
    identity,
    interpolated,
    inverse,
    permuted,
    random_permutations,
)
from detector.research.permutation.tracing import derive_spec
from detector.training.architectures import build_network
from tests.research.permutation.networks import (
    Attention,
    Gated,
    Heads,
    Joined,
    Residual,
    Scaled,
    Strange,
    grouped,
    mlp,
    shared,
    tied,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "MLP": (lambda: mlp(20, 12), [20, 12]),
    "one layer passed twice": (shared, [12]),
    "two layers of one weight": (tied, [12]),
    "grouped convolution": (grouped, [2] * 8),
    "attention": (Attention, [16, *[4] * 8, 32]),
    "attention written out": (Heads, [16, *[4] * 8]),
    "layer norms over channels": (lambda: build_network("cnn-4-6-layernorm", (1, 8, 8), 5), [4, 6]),
    "concatenation": (Joined, [8, 6, 10]),
    "gates": (Gated, [4, 4, 4, *[2] * 4]),
    "residual sums": (Residual, [6, 7, 4]),
    "numbers that are no units": (Scaled, [8]),
    "an unknown operation": (Strange, [9]),
}
"""With the sizes of the groups that are to be found, in the order in which their units are made."""
BUILDERS = [builder for builder, _ in NETWORKS.values()]


def _network(builder: Callable[[], nn.Module]) -> Program:
    """A network with random parameters and statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = builder().eval()
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 0.9)
    return Program.of(module, IMAGES, name="network")


@pytest.mark.parametrize(("builder", "sizes"), NETWORKS.values(), ids=NETWORKS)
def test_all_symmetries_that_are_there_are_found(builder: Callable[[], nn.Module], sizes: list[int]) -> None:
    assert [group.size for group in derive_spec(_network(builder), IMAGES).groups] == sizes


@pytest.mark.parametrize("builder", BUILDERS, ids=NETWORKS)
def test_a_program_gives_what_the_network_gives_for_batches_of_any_size(builder: Callable[[], nn.Module]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = builder().eval()
    program = Program.of(module, IMAGES, name="network")
    more = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(program.logits(more), module(more))


@pytest.mark.parametrize("builder", BUILDERS, ids=NETWORKS)
@pytest.mark.parametrize("seed", [5, 6])
def test_a_permuted_network_computes_the_same_of_other_weights(builder: Callable[[], nn.Module], seed: int) -> None:
    program = _network(builder)
    spec = derive_spec(program, IMAGES)
    moved = permuted(spec, program.state, random_permutations(spec, seed))
    assert any(not torch.equal(moved[name], program.state[name]) for name in moved)
    torch.testing.assert_close(program.logits(IMAGES, moved), program.logits(IMAGES), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("builder", BUILDERS, ids=NETWORKS)
def test_permutations_are_undone_and_composed(builder: Callable[[], nn.Module]) -> None:
    program = _network(builder)
    spec, state = derive_spec(program, IMAGES), program.state
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
