from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.research.permutation.agreement import agreement
from detector.research.permutation.barriers import barrier, line, loss_and_error
from detector.research.permutation.merging import Alignments, Merged, MergingOptions, merge
from detector.research.permutation.merging_barriers import BAR, MergingBarriers, barrier_steps, merging_barriers
from detector.research.permutation.references import through_reference
from detector.research.permutation.spec import permuted
from tests.research.permutation.merging_support import IMAGES, OTHERS, copies, different
from tests.research.permutation.networks import Residual

if TYPE_CHECKING:
    from detector.research.permutation.classifiers import Networks

POINTS = 5


def _measured(networks: Networks, options: MergingOptions) -> tuple[MergingBarriers, Merged, Alignments]:
    alignments = Alignments(networks, options, IMAGES)
    merged = merge(networks, options, IMAGES, alignments)
    told: list[int] = []
    found = merging_barriers(
        networks,
        merged,
        options,
        OTHERS,
        alignments=alignments,
        statistics=IMAGES,
        points=POINTS,
        advance=told.append,
    )
    assert sum(told) == barrier_steps(len(merged.aligned), POINTS)
    return found, merged, alignments


def test_permuted_copies_have_no_barrier_once_they_are_aligned() -> None:
    found, _, _ = _measured(copies(), MergingOptions())
    assert found.naive[..., 0].max() > 1e-3
    np.testing.assert_allclose(found.direct[..., 0], 0, atol=1e-5)
    np.testing.assert_allclose(found.via[..., 0], 0, atol=1e-5)
    np.testing.assert_array_equal(found.via[..., 1], 0)
    assert found.agreement[1, 2] == 1
    assert found.middle == pytest.approx((0, 0), abs=1e-5)
    assert found.worst == 0
    assert found.advised


def test_each_barrier_is_that_of_the_line_it_names() -> None:
    networks = different()
    found, merged, alignments = _measured(networks, MergingOptions(reference=1))
    states, shares = networks.states, line(POINTS)
    direct = permuted(networks.spec, states[2], alignments.of(2, to=0))
    for table, ends in (
        (found.naive, (states[0], states[2])),
        (found.direct, (states[0], direct)),
        (found.via, (merged.aligned[0], merged.aligned[2])),
    ):
        by_hand = barrier(networks.program, ends, shares, OTHERS)
        assert table[0, 2].tolist() == table[2, 0].tolist() == [by_hand.loss, by_hand.error]
        assert table[0, 0].tolist() == [0, 0]
    through = through_reference(merged.permutations[2], merged.permutations[0])
    alike = agreement(networks.spec, states[0], states[2], alignments.of(2, to=0), through)
    assert found.agreement[0, 2] == found.agreement[2, 0] == alike
    assert np.isnan(found.agreement[0, 1])


def test_to_the_reference_both_ways_are_one() -> None:
    found, _, _ = _measured(different(), MergingOptions(reference=0))
    np.testing.assert_array_equal(found.direct[0], found.via[0])


def test_the_merged_network_is_measured_against_its_parts() -> None:
    networks, options = different(), MergingOptions(shares=(0.5, 0.25, 0.25))
    found, merged, _ = _measured(networks, options)
    reached = loss_and_error(networks.program, merged.state, OTHERS)
    assert found.merged == reached
    corners = [loss_and_error(networks.program, state, OTHERS) for state in networks.states]
    np.testing.assert_allclose(found.corners, corners)
    np.testing.assert_allclose(found.middle, reached - np.array([0.5, 0.25, 0.25]) @ np.array(corners))


@pytest.mark.parametrize("measured", [False, True])
def test_batch_norms_of_mixtures_are_measured_anew_where_those_of_the_merged_network_were(*, measured: bool) -> None:
    networks, options = different(2, Residual), MergingOptions()
    alignments = Alignments(networks, options, IMAGES)
    merged = replace(merge(networks, options, IMAGES, alignments), measured=measured)
    found = merging_barriers(networks, merged, options, OTHERS, alignments=alignments, statistics=IMAGES, points=POINTS)
    statistics = IMAGES if measured else None
    by_hand = barrier(networks.program, networks.states, line(POINTS), OTHERS, statistics=statistics)
    assert found.naive[0, 1].tolist() == [by_hand.loss, by_hand.error]


@pytest.mark.parametrize(("barrier_found", "advised"), [(BAR - 1e-6, True), (BAR, False), (0.3, False)])
def test_merging_is_advised_below_the_bar_alone(barrier_found: float, *, advised: bool) -> None:
    none = np.zeros((2, 2, 2))
    via = none.copy()
    via[0, 1, 1] = via[1, 0, 1] = barrier_found
    found = MergingBarriers(10, np.zeros((2, 2)), none, none, via, np.full((2, 2), np.nan), (0.0, 0.0), (0.0, 0.0))
    assert found.advised == advised
    told = found.to_json()
    assert told["advice"] == ("merge" if advised else "ensemble")
    assert told["agreement"] == [[None, None], [None, None]]
    assert told["worst_error_barrier"] == barrier_found
