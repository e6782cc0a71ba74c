"""Alignment by way of other networks: permutations are composed as networks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.classifiers.program import Program
from detector.research.permutation.barriers import barrier, line
from detector.research.permutation.references import around, through_reference
from detector.research.permutation.spec import composed, identity, inverse, permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from detector.training.data import LabelledImages
from tests.research.permutation.networks import mlp

if TYPE_CHECKING:
    from torch import Tensor

    from detector.research.permutation.spec import PermutationSpec

_GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(23, 1, 8, 8, generator=_GENERATOR)
DATA = LabelledImages(IMAGES.numpy(), torch.randint(0, 10, (23,), generator=_GENERATOR).numpy(), classes=10)


@pytest.fixture(scope="module")
def two() -> tuple[Program, PermutationSpec, list[dict[str, Tensor]]]:
    programs = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            programs.append(Program.of(mlp(12, 9), IMAGES[:3], name="network"))
    states = [{name: 3 * value for name, value in one.state.items()} for one in programs]
    return programs[0], derive_spec(programs[0], IMAGES[:3]), states


def test_going_through_a_reference_is_comparing_what_is_aligned_to_it(
    two: tuple[Program, PermutationSpec, list[dict[str, Tensor]]],
) -> None:
    program, spec, (a, b) = two
    a_to_c, b_to_c = random_permutations(spec, 3), random_permutations(spec, 4)
    aligned = barrier(program, [permuted(spec, a, a_to_c), permuted(spec, b, b_to_c)], line(5), DATA)
    through = barrier(program, [a, permuted(spec, b, through_reference(b_to_c, a_to_c))], line(5), DATA)
    np.testing.assert_allclose(through.losses, aligned.losses, rtol=1e-4)
    naive = barrier(program, [a, b], line(5), DATA)
    assert np.abs(naive.losses - aligned.losses).max() > 1e-3


def test_a_way_around_copies_of_one_network_leads_back(
    two: tuple[Program, PermutationSpec, list[dict[str, Tensor]]],
) -> None:
    _, spec, (a, _) = two
    to_c, to_b = random_permutations(spec, 5), random_permutations(spec, 6)
    led = around([to_c, to_b, inverse(composed(to_c, to_b))])
    for group, permutation in led.items():
        np.testing.assert_array_equal(permutation, identity(spec)[group])
    moved = permuted(spec, permuted(spec, a, to_c), to_b)
    for name, value in permuted(spec, a, around([to_c, to_b])).items():
        assert torch.equal(value, moved[name])
