from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.ndimage import generate_binary_structure, label

from detector.research.connectivity.percolation import (
    SITE_THRESHOLDS,
    OpenGraph,
    branching_connectivity,
    sampled_pairs,
    search,
    spanning_threshold,
    threshold_expansion,
    uniforms,
)
from detector.research.connectivity.random_networks import RandomNetwork, low_loss_sites, straight_share

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _field(shape: tuple[int, ...], key: int) -> NDArray[np.float64]:
    return uniforms(np.arange(np.prod(shape), dtype=np.uint64), key).reshape(shape)


def _below(share: float, key: int, sites: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return uniforms(sites, key) < share


def _walked(open_sites: NDArray[np.bool_], start: tuple[int, ...]) -> dict[tuple[int, ...], int]:
    """Steps from a site to all it is connected with, by walking: the slow and obvious way."""
    steps = {start: 0}
    queue = [start]
    for site in queue:
        for axis in range(open_sites.ndim):
            for by in (-1, 1):
                there = (*site[:axis], site[axis] + by, *site[axis + 1 :])
                inside = 0 <= there[axis] < open_sites.shape[axis]
                if inside and open_sites[there] and there not in steps:
                    steps[there] = steps[site] + 1
                    queue.append(there)
    return steps


@pytest.mark.parametrize("shape", [(2,) * 8, (9, 7), (5, 4, 6), (13,), (3, 3, 3, 3)])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_clusters_are_what_a_walk_finds(shape: tuple[int, ...], share: float) -> None:
    open_sites = _field(shape, 3) < share
    graph = OpenGraph.of(open_sites)
    sites = list(map(tuple, np.argwhere(open_sites).tolist()))
    walks = {site: _walked(open_sites, site) for site in sites}
    for site in sites:
        of_cluster = graph.clusters == graph.clusters[graph.number[site]]
        assert {sites[i] for i in np.flatnonzero(of_cluster)} == set(walks[site])
        distances = graph.distances(np.array([graph.number[site]]))[0]
        assert [distances[graph.number[other]] for other in walks[site]] == list(walks[site].values())
    connected = sum(len(walk) - 1 for walk in walks.values())
    assert graph.pair_connectivity == pytest.approx(connected / (len(sites) * (len(sites) - 1)))
    assert graph.spans == any(walk[0] == 0 and any(o[0] == shape[0] - 1 for o in walks[walk]) for walk in walks)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
def test_a_search_of_few_sites_knows_what_all_sites_say(share: float) -> None:
    """The same field, looked at whole and lazily."""
    for key in range(5):
        graph = OpenGraph.of(_field((2,) * 10, key) < share)
        number = graph.number.ravel()
        found = sampled_pairs(lambda _, key=key: partial(_below, share, key), 10, pairs=20, budget=2000, seed=key)  # type: ignore[misc] # bound now
        connected = 0
        for a, b in found.ends:
            together = bool(graph.clusters[number[a]] == graph.clusters[number[b]])
            one = search(partial(_below, share, key), 10, (a, b), 2000)
            assert one.connected == together
            assert not together or one.steps >= graph.distances(number[[a]])[0, number[b]]
            connected += together
        assert (found.connected, found.undecided) == (connected, 0)
        assert found.apart == 20 - connected


def test_components_are_those_of_another_library() -> None:
    for shape in ((60, 50), (20, 20, 20), (2,) * 7):
        open_sites = _field(shape, 1) < 0.3
        labels, count = label(open_sites, generate_binary_structure(len(shape), 1))
        ours = OpenGraph.of(open_sites).clusters
        theirs = labels[open_sites]
        assert ours.max() + 1 == count
        assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == count


def test_numbers_are_uniform_and_a_key_gives_others() -> None:
    first, second = (uniforms(np.arange(1 << 16, dtype=np.uint64), key) for key in (0, 1))
    for numbers in (first, second):
        counts = np.histogram(numbers, 16, (0, 1))[0]
        assert ((counts - 4096) ** 2 / 4096).sum() < 45  # chi squared of 15 degrees: p = 0.0001
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    for bit in range(16):  # neighbours on the hypercube
        assert abs(np.corrcoef(first, first[np.arange(1 << 16) ^ (1 << bit)])[0, 1]) < 0.02


def test_the_spanning_threshold_is_the_first_share_that_spans() -> None:
    for key in range(10):
        numbers = _field((9, 9), key)
        threshold = spanning_threshold(numbers)
        assert OpenGraph.of(numbers <= threshold).spans
        assert not OpenGraph.of(numbers < threshold).spans


def test_a_line_is_spanned_by_all_its_sites() -> None:
    numbers = _field((12,), 0)
    assert spanning_threshold(numbers) == numbers.max()


def test_hypercubes_connect_as_they_grow_above_the_threshold_and_not_below() -> None:
    """A replication found .28, .52, .80, .90 for p = 0.2 and .78, .92, .97, .99 for p = 0.3."""
    means = {
        share: [
            np.mean([OpenGraph.of(_field((2,) * n, key) < share).pair_connectivity for key in range(60)])
            for n in (8, 10, 12, 14)
        ]
        for share in (0.05, 0.2, 0.3)
    }
    for share in (0.2, 0.3):
        assert (np.diff(means[share]) > 0).all()
        assert means[share][-1] == pytest.approx(branching_connectivity(14, share), abs=0.02)
    assert means[0.2] == pytest.approx([0.30, 0.55, 0.80, 0.90], abs=0.06)
    assert means[0.3] == pytest.approx([0.78, 0.92, 0.97, 0.99], abs=0.03)
    assert max(means[0.05]) < 0.08
    assert means[0.05][-1] < 0.01


def test_large_hypercubes_are_searched() -> None:
    """No array of 2^40 sites is made. Above the threshold pairs are connected; far below it none is."""
    above = sampled_pairs(lambda key: partial(_below, 0.2, key), 40, pairs=15, budget=2000, seed=0)
    below = sampled_pairs(lambda key: partial(_below, 0.01, key), 40, pairs=15, budget=2000, seed=0)
    assert (above.connected, above.apart) == (15, 0)
    assert 1 <= above.stretch < 1.3
    assert (below.connected, below.apart) == (0, 15)


def test_a_search_that_is_given_up_says_so() -> None:
    ends = (0, (1 << 30) - 1)
    assert search(lambda sites: np.ones(len(sites), bool), 30, ends, 3).connected is None
    assert search(lambda sites: np.ones(len(sites), bool), 30, ends, 100).steps == 30


def test_boxes_are_spanned_near_the_known_thresholds() -> None:
    for d, side, tolerance in ((2, 32, 0.03), (3, 12, 0.06), (4, 7, 0.10)):
        medians = np.median([spanning_threshold(_field((side,) * d, key)) for key in range(25)])
        assert medians == pytest.approx(SITE_THRESHOLDS[d], rel=tolerance)


def test_known_thresholds_obey_what_is_proven() -> None:
    scaled = []
    for d, threshold in SITE_THRESHOLDS.items():
        assert threshold > 1 / (2 * d - 1)
        scaled.append(2 * d * threshold)
    assert (np.diff(scaled) < 0).all()
    assert min(scaled) > 1
    assert SITE_THRESHOLDS[6] == pytest.approx(threshold_expansion(6), rel=0.05)


def test_the_branching_estimate_vanishes_at_the_threshold() -> None:
    assert branching_connectivity(20, 0.04) == pytest.approx(0, abs=1e-6)
    assert branching_connectivity(20, 0.1) > 0.5
    assert branching_connectivity(100, 0.3) == pytest.approx(1, abs=1e-6)


def test_corners_of_a_network_are_numbered_by_their_coordinates() -> None:
    network = RandomNetwork("mlp-8", 5, 0)
    np.testing.assert_array_equal(network.coordinates(np.array([0b00110], np.uint64)), [[0, 1, 1, 0, 0]])
    losses = network.of_all_corners
    np.testing.assert_allclose(losses[7], network.losses(np.array([[1, 1, 1, 0, 0]], np.float32))[0], rtol=1e-5)
    assert abs(network.sampled_threshold(0.3, 0) - np.quantile(losses, 0.3)) < 0.05


def test_low_corners_of_random_networks_connect_where_independent_ones_do_not() -> None:
    found = np.array(
        [low_loss_sites(RandomNetwork("mlp-64-64", 12, k), 0.05, pairs=50, seed=k).as_row() for k in range(4)]
    )
    connected, independent, neighbours, stretch, straight = found.mean(axis=0)
    assert connected > 0.9
    assert independent < 0.1
    assert neighbours > 4 * 0.05
    assert 1 <= stretch < 1.2
    assert 0 <= straight < connected


def test_a_straight_line_from_a_corner_to_itself_stays_low() -> None:
    network = RandomNetwork("mlp-8", 6, 0)
    ends = np.array([[5, 5], [9, 9]], np.uint64)
    threshold = float(network.of_all_corners[[5, 9]].max())
    assert straight_share(network, ends, threshold) == 1
    assert straight_share(network, ends, threshold - 1) == 0
