from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.classifiers.program import Program
from detector.research.permutation.agreement import agreement, fixed_points, living
from detector.research.permutation.spec import identity, random_permutations
from detector.research.permutation.tracing import derive_spec
from tests.research.permutation.networks import mlp

if TYPE_CHECKING:
    from torch import Tensor

    from detector.research.permutation.spec import PermutationSpec

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def made() -> tuple[PermutationSpec, dict[str, Tensor]]:
    """A network whose first four of eight hidden units are dead, but for their biases."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        program = Program.of(mlp(8), IMAGES, name="network")
    state = {name: value.clone() for name, value in program.state.items()}
    state["1.weight"][:4], state["3.weight"][:, :4] = 0, 0
    return derive_spec(program, IMAGES), state


def test_units_without_weights_are_dead_whatever_their_bias(made: tuple[PermutationSpec, dict[str, Tensor]]) -> None:
    spec, state = made
    assert living(spec, state)["1.weight"].tolist() == [False] * 4 + [True] * 4
    state["3.weight"][0, 2] = 1e-9
    assert living(spec, state)["1.weight"].tolist() == [False, False, True, False] + [True] * 4


def test_only_living_units_are_counted(made: tuple[PermutationSpec, dict[str, Tensor]]) -> None:
    spec, state = made
    one = {"1.weight": np.array([3, 2, 1, 0, 4, 5, 7, 6])}  # dead ones among themselves, and two living ones
    assert fixed_points(spec, state, one) == 0.5
    assert fixed_points(spec, state, identity(spec)) == 1
    assert agreement(spec, state, state, one, one) == 1


def test_a_living_unit_matched_to_a_dead_one_counts_as_moved(made: tuple[PermutationSpec, dict[str, Tensor]]) -> None:
    spec, state = made
    assert fixed_points(spec, state, {"1.weight": np.array([4, 1, 2, 3, 0, 5, 6, 7])}) == 0.75


def test_where_nothing_lives_nothing_is_said(made: tuple[PermutationSpec, dict[str, Tensor]]) -> None:
    spec, state = made
    nothing = {name: torch.zeros_like(value) for name, value in state.items()}
    assert fixed_points(spec, nothing, identity(spec)) is None


def test_random_permutations_agree_in_one_unit_on_average() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        program = Program.of(mlp(50), IMAGES, name="network")
    spec = derive_spec(program, IMAGES)
    shares = [fixed_points(spec, program.state, random_permutations(spec, seed)) for seed in range(200)]
    assert np.mean([share for share in shares if share is not None]) == pytest.approx(1 / 50, abs=0.005)
