from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.connectivity.percolation import OpenGraph, sampled_pairs
from detector.research.connectivity.percolation_jobs import PercolationOptions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": ()}, "shares"),
        ({"shares": (0.2, 1.0)}, "shares"),
        ({"trials": 0}, "trials"),
        ({"networks": 0}, "networks"),
        ({"dimensions": ()}, "dimensions must rise"),
        ({"dimensions": (8, 8)}, "dimensions must rise"),
        ({"dimensions": (8, 25)}, r"dimensions must rise within 2\.\.24"),
        ({"network_dimensions": (1, 8)}, "network_dimensions must rise"),
        ({"searched": (63,)}, r"2\.\.62 dimensions"),
        ({"boxes": ()}, "boxes"),
        ({"boxes": ((2, 1),)}, "sides of at least 2"),
        ({"boxes": ((6, 100),)}, "at most 16777216 sites"),
        ({"architecture": "vgg"}, "no network is called"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        PercolationOptions(**given)


def test_a_grid_that_does_not_fit_in_memory_is_refused() -> None:
    with pytest.raises(AnalysisError, match="too many to hold"):
        OpenGraph.of(np.broadcast_to(np.array(False), (5000, 5000)))


def test_a_hypercube_has_sites_that_can_be_numbered() -> None:
    with pytest.raises(AnalysisError, match=r"1\.\.62, not 63"):
        sampled_pairs(lambda _: np.isfinite, 63, pairs=1, budget=1, seed=0)


def test_where_nothing_is_open_there_is_no_pair() -> None:
    with pytest.raises(AnalysisError, match="not two different ones are open"):
        sampled_pairs(lambda _: lambda sites: np.zeros(len(sites), bool), 20, pairs=1, budget=1, seed=0)


@pytest.mark.parametrize("open_sites", [[False] * 4, [True, False, False, False]])
def test_no_pair_has_no_connectivity(open_sites: list[bool]) -> None:
    graph = OpenGraph.of(np.array(open_sites).reshape(2, 2))
    assert np.isnan(graph.pair_connectivity)
    assert not graph.spans
