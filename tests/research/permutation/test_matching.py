from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.permutation.kernels import Kernel
from detector.research.permutation.matching import MatchingOptions, gram, match_weights
from detector.research.permutation.spec import composed, identity, permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from tests.research.permutation.networks import Residual, mlp, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from detector.research.permutation.spec import PermutationSpec

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
BUILDERS: list[Callable[[], nn.Module]] = [lambda: mlp(20, 12), Residual, shared]


def _traced(builder: Callable[[], nn.Module], seed: int = 1) -> tuple[PermutationSpec, dict[str, Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = builder().eval()
    program = Program.of(module, IMAGES, name="network")
    return derive_spec(program, IMAGES), dict(program.state)


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("kernel", Kernel)
def test_a_known_permutation_is_recovered(builder: Callable[[], nn.Module], kernel: Kernel) -> None:
    spec, state = _traced(builder)
    shuffled = random_permutations(spec, 3)
    options = MatchingOptions(kernel=kernel, restarts=5)
    found = match_weights(spec, [state], [permuted(spec, state, shuffled)], options)
    for name, permutation in composed(shuffled, found.permutations).items():
        np.testing.assert_array_equal(permutation, identity(spec)[name])


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_objective_never_falls(builder: Callable[[], nn.Module]) -> None:
    spec, one = _traced(builder)
    _, other = _traced(builder, seed=2)
    for seed in range(3):
        found = match_weights(spec, [one], [other], MatchingOptions(seed=seed))
        assert (np.diff(found.objectives) >= -1e-9).all()
        assert found.objectives[-1] > found.objectives[0]


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_objective_is_the_inner_product_of_all_that_is_permuted_each_tensor_once(
    builder: Callable[[], nn.Module],
) -> None:
    spec, one = _traced(builder)
    _, other = _traced(builder, seed=2)
    found = match_weights(spec, [one], [other], MatchingOptions())
    moved = permuted(spec, other, found.permutations)
    tensors = {place.tensor for group in spec.groups for place in group.places} - spec.buffers
    assert found.objectives[-1] == pytest.approx(sum(float((one[name] * moved[name]).sum()) for name in tensors))
    distances = [sum(float((one[n] - two[n]).square().sum()) for n in tensors) for two in (other, moved)]
    assert distances[1] < distances[0]


def test_more_restarts_are_never_worse() -> None:
    spec, one = _traced(Residual)
    _, other = _traced(Residual, seed=2)
    reached = [match_weights(spec, [one], [other], MatchingOptions(restarts=n)).objectives[-1] for n in (1, 2, 6)]
    assert reached == sorted(reached)


def test_checkpoints_are_matched_together_by_the_sum_of_their_likeness() -> None:
    spec, one = _traced(lambda: mlp(6))
    others = [_traced(lambda: mlp(6), seed)[1] for seed in (2, 3, 4)]
    (group,) = spec.groups
    together = gram(spec, group, [one, others[0]], [others[1], others[2]], MatchingOptions())
    apart = gram(spec, group, [one], [others[1]], MatchingOptions()) + gram(
        spec, group, [others[0]], [others[2]], MatchingOptions()
    )
    torch.testing.assert_close(together, apart)
    shuffled = random_permutations(spec, 9)
    moved = [permuted(spec, state, shuffled) for state in (one, others[0])]
    found = match_weights(spec, [one, others[0]], moved, MatchingOptions())
    np.testing.assert_array_equal(composed(shuffled, found.permutations)[group.name], np.arange(6))


def test_likeness_is_the_inner_product_of_all_that_belongs_to_a_unit() -> None:
    spec, one = _traced(lambda: mlp(6))
    _, other = _traced(lambda: mlp(6), seed=2)
    (group,) = spec.groups

    def owned(state: dict[str, Tensor], unit: int, *, bias: bool) -> Tensor:
        parts = [state["1.weight"][unit], state["3.weight"][:, unit], *([state["1.bias"][unit, None]] if bias else [])]
        return torch.cat(parts).double()

    for vectors in (True, False):
        found = gram(spec, group, [one], [other], MatchingOptions(vectors=vectors))
        for i, j in ((0, 0), (2, 5)):
            wanted = owned(one, i, bias=vectors) @ owned(other, j, bias=vectors)
            assert float(found[i, j]) == pytest.approx(float(wanted))


def _with_dead_units(state: dict[str, Tensor], dead: slice) -> dict[str, Tensor]:
    state = {name: value.clone() for name, value in state.items()}
    state["1.weight"][dead], state["1.bias"][dead], state["3.weight"][:, dead] = 0, 0, 0
    return state


def test_dead_units_and_equal_networks_stay_in_place() -> None:
    spec, state = _traced(lambda: mlp(20, 12))
    state = _with_dead_units(state, slice(5))
    found = match_weights(spec, [state], [state], MatchingOptions())
    for name, permutation in found.permutations.items():
        np.testing.assert_array_equal(permutation, identity(spec)[name])


@pytest.mark.parametrize("kernel", Kernel)
def test_living_units_are_matched_whatever_units_died_beside_them(kernel: Kernel) -> None:
    spec, state = _traced(lambda: mlp(20, 12))
    shuffled = random_permutations(spec, 3)
    spoilt = permuted(spec, _with_dead_units(state, slice(5)), shuffled)
    found = match_weights(spec, [state], [spoilt], MatchingOptions(kernel=kernel)).permutations
    np.testing.assert_array_equal(composed(shuffled, found)["1.weight"][5:], np.arange(5, 20))
    np.testing.assert_array_equal(composed(shuffled, found)["3.weight"], np.arange(12))


@pytest.mark.parametrize(("sweeps", "restarts"), [(0, 1), (1, 0)])
def test_options_out_of_range_are_refused(sweeps: int, restarts: int) -> None:
    with pytest.raises(AnalysisError, match="must be at least 1"):
        MatchingOptions(sweeps=sweeps, restarts=restarts)


def test_what_does_not_fit_is_refused_by_name() -> None:
    spec, state = _traced(lambda: mlp(6))
    _, other = _traced(lambda: mlp(7))
    with pytest.raises(AnalysisError, match=r"^moved\[0\]: 1\.weight has the shape"):
        match_weights(spec, [state], [other], MatchingOptions())
    with pytest.raises(AnalysisError, match="as many networks as references"):
        match_weights(spec, [state], [], MatchingOptions())
