"""Chains in shards are the chains of one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, connect
from detector.research.connectivity.connecting import arrays_of, chains_of, connect_job
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.stages import StageStore
from tests.support.calibrating import Recorder
from tests.support.tiny import tiny_torch
from tests.support.walking import random_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from detector.paths.chains import Chains

# Some pairs stay straight, some are bypassed once and some more often.
OPTIONS = ChainOptions(
    epsilon=1.2, rounds=2, points=9, segment_points=5, bypass=BypassOptions(steps=4, learning_rate=0.02)
)


def _same(found: Chains, wanted: Chains) -> None:
    np.testing.assert_allclose(found.straight.losses, wanted.straight.losses, atol=1e-4)
    np.testing.assert_array_equal(found.straight.alphas, wanted.straight.alphas)
    np.testing.assert_allclose(found.heights, wanted.heights, atol=1e-3)
    np.testing.assert_array_equal(found.segments, wanted.segments)
    assert len(found.waypoints) == len(wanted.waypoints)
    for mine, theirs in zip(found.waypoints, wanted.waypoints, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3)


def test_ragged_waypoints_survive_as_arrays() -> None:
    pairs, classifier = random_pairs(20), tiny_torch()
    chains = connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=OPTIONS)
    assert len({len(waypoints) for waypoints in chains.waypoints}) > 2
    _same(chains_of(arrays_of(chains)), chains)


def test_shards_give_what_one_batch_gives_and_tell_of_all_steps(tmp_path: Path) -> None:
    pairs, classifier = random_pairs(70), tiny_torch()
    progress = Recorder()
    runner = LocalRunner(Models(classifier, classifier))
    place = Workplace(None, StageStore(tmp_path, {}), runner, progress, tmp_path)
    job = connect_job(pairs, OPTIONS)
    assert len(job.shards) > 1
    found = chains_of(place.done("chains", lambda: job))
    whole = connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=OPTIONS)
    _same(found, whole)
    assert progress.steps == {"Connecting pairs": (3 * 70, 3 * 70)}
    again = chains_of(place.done("chains", lambda: connect_job(pairs[:0], OPTIONS)))  # found: no job is asked for
    _same(again, found)


def test_there_is_something_to_connect() -> None:
    with pytest.raises(AnalysisError, match="pairs: there is none"):
        connect_job(random_pairs(2)[:0], ChainOptions())
