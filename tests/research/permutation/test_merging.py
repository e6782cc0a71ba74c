from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.research.permutation.barriers import loss_and_error
from detector.research.permutation.kinds import By
from detector.research.permutation.matching import MatchingOptions
from detector.research.permutation.merging import Alignments, Merged, MergingOptions, merge, mixed, settled
from detector.research.permutation.normalisation import restated
from detector.research.permutation.spec import identity, interpolated, permuted
from detector.training.data import LabelledImages
from tests.research.permutation.merging_support import IMAGES, copies, different
from tests.research.permutation.networks import Residual, mlp, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from detector.research.permutation.classifiers import Networks

PROBE = torch.from_numpy(IMAGES.canonical[:10])
MATCHING = MatchingOptions(restarts=5)
BUILDERS: list[Callable[[], nn.Module]] = [lambda: mlp(12, 9), Residual, shared]


def _merge(networks: Networks, options: MergingOptions) -> Merged:
    return merge(networks, options, IMAGES, Alignments(networks, options, IMAGES))


def _answers(networks: Networks, state: Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return networks.program.logits(PROBE, state)


def _pairs(states: Sequence[Mapping[str, Tensor]], buffers: frozenset[str]) -> float:
    """The sum of all pairs' inner products, parameters alone."""
    return sum(
        float((one[name].double() * other[name].double()).sum())
        for one, other in combinations(states, 2)
        for name in one
        if name not in buffers
    )


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("repeated", [False, True])
def test_merging_permuted_copies_of_one_network_gives_back_its_function(
    builder: Callable[[], nn.Module], *, repeated: bool
) -> None:
    networks = copies(builder)
    plain = interpolated(networks.states, (1 / 3,) * 3)
    assert (_answers(networks, plain) - _answers(networks, networks.states[0])).abs().max() > 1e-2
    found = _merge(networks, MergingOptions(matching=MATCHING, repeated=repeated))
    torch.testing.assert_close(found.aligned[1], dict(networks.states[0]))
    torch.testing.assert_close(interpolated(found.aligned, (1 / 3,) * 3), dict(networks.states[0]))
    if not found.measured:  # batch norms whose statistics were measured normalise otherwise
        torch.testing.assert_close(
            _answers(networks, found.state), _answers(networks, networks.states[0]), atol=1e-5, rtol=1e-4
        )


def test_activations_find_permuted_copies_too() -> None:
    networks = copies()
    found = _merge(networks, MergingOptions(by=By.ACTIVATIONS))
    torch.testing.assert_close(
        _answers(networks, found.state), _answers(networks, networks.states[0]), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("reference", [0, 1, 2])
@pytest.mark.parametrize("builder", BUILDERS)
def test_all_of_the_share_gives_that_network_aligned(reference: int, builder: Callable[[], nn.Module]) -> None:
    networks = different(builder=builder)
    found = _merge(networks, MergingOptions(shares=(1, 0, 0), reference=reference))
    wanted = _answers(networks, networks.states[0])
    torch.testing.assert_close(_answers(networks, found.state), wanted, atol=1e-5, rtol=1e-4)
    if reference == 0:
        assert all(torch.equal(found.state[name], value) for name, value in networks.states[0].items())


def test_the_reference_stays_as_it_is_and_the_others_keep_their_functions() -> None:
    networks = different()
    found = _merge(networks, MergingOptions(reference=1))
    assert all((found.permutations[1][name] == where).all() for name, where in identity(networks.spec).items())
    for state, aligned in zip(networks.states, found.aligned, strict=True):
        torch.testing.assert_close(_answers(networks, aligned), _answers(networks, state), atol=1e-5, rtol=1e-4)


def test_merging_is_the_mean_of_the_aligned_networks_in_their_shares() -> None:
    networks, shares = different(), (0.5, 0.2, 0.3)
    found = _merge(networks, MergingOptions(shares=shares))
    for name, value in found.state.items():
        by_hand = sum(share * state[name] for share, state in zip(shares, found.aligned, strict=True))
        torch.testing.assert_close(value, by_hand)


@pytest.mark.parametrize("builder", [lambda: mlp(12, 9), shared])
def test_repeated_merging_brings_networks_closer_to_one_another(builder: Callable[[], nn.Module]) -> None:
    networks = different(4, builder)
    buffers = networks.spec.buffers
    start = [identity(networks.spec)] * 4
    found = settled(networks.spec, networks.states, (0.25,) * 4, start, MatchingOptions())
    settled_states = [permuted(networks.spec, s, p) for s, p in zip(networks.states, found, strict=True)]
    assert _pairs(settled_states, buffers) > _pairs(networks.states, buffers)
    again = settled(networks.spec, settled_states, (0.25,) * 4, start, MatchingOptions())
    for permutations in again:
        assert all((permutations[name] == where).all() for name, where in identity(networks.spec).items())


def _named_by(networks: Networks, state: Mapping[str, Tensor]) -> LabelledImages:
    """The images, labelled as a network answers them."""
    with torch.no_grad():
        answers = networks.program.logits(torch.from_numpy(IMAGES.canonical), state).argmax(1)
    return LabelledImages(IMAGES.images, answers.numpy(), classes=5)


@pytest.mark.parametrize("measured", [False, True])
def test_batch_norms_get_the_statistics_by_which_the_network_errs_less(*, measured: bool) -> None:
    networks, shares = different(builder=Residual), (0.4, 0.3, 0.3)
    mean = interpolated(networks.states, shares)
    both = mean, restated(networks.program, mean, IMAGES.batches(500))
    images = _named_by(networks, both[measured])
    assert loss_and_error(networks.program, both[not measured], images)[1] > 0
    state, found = mixed(networks.program, networks.states, shares, images)
    assert found == measured
    for name, value in both[measured].items():
        torch.testing.assert_close(state[name], value)


def test_a_lower_loss_does_not_make_up_for_more_errors() -> None:
    """With its own statistics the network is so sure of itself that one error in ten is dear."""
    networks, shares = different(2, Residual), (0.5, 0.5)
    loud = [{**state, "norm.running_var": torch.full((6,), 1e-6)} for state in networks.states]
    mean = interpolated(loud, shares)
    named = _named_by(networks, mean)
    wrong = np.where(np.arange(len(named)) % 10 == 0, (named.labels + 1) % 5, named.labels)
    images = LabelledImages(named.images, wrong, classes=5)
    anew = restated(networks.program, mean, images.batches(500))
    (loss, error), (new_loss, new_error) = (loss_and_error(networks.program, state, images) for state in (mean, anew))
    assert new_loss < loss
    assert new_error > error
    assert not mixed(networks.program, loud, shares, images)[1]


def test_a_pair_is_matched_once() -> None:
    networks, options = different(), MergingOptions()
    alignments = Alignments(networks, options, IMAGES)
    assert alignments.of(1, to=0) is alignments.of(1, to=0)
    assert all((where == np.arange(len(where))).all() for where in alignments.of(2, to=2).values())


def test_dead_units_do_not_keep_networks_from_being_merged() -> None:
    networks = copies()
    for state in networks.states:
        state["1.weight"][:3] = 0
        state["1.bias"][:3] = 0
        state["3.weight"][:, :3] = 0
    found = _merge(networks, MergingOptions())
    assert all(bool(value.isfinite().all()) for value in found.state.values())
