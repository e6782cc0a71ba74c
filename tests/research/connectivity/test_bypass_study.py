"""Bypasses of real and of adversarial pairs (methods A.6.1 and A.6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.paths.chains import Chains
from detector.paths.curves import LossCurves
from detector.research.connectivity.joined import Joined
from detector.research.connectivity.kinds import Kind
from tests.support.connecting import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.analysis import Analysis
    from detector.research.studies import Study


@pytest.fixture(scope="module")
def study(analysed: tuple[Path, Analysis]) -> Study:
    return next(study for study in analysed[1].studies if study.name == "bypass")


@pytest.fixture(scope="module")
def kinds(study: Study) -> dict[str, Any]:
    return dict(study.figures["kinds"])


def test_one_bypass_brings_both_kinds_to_the_same_low_level(study: Study, kinds: dict[str, Any]) -> None:
    before, after = (
        {kind: one["height after each round"][number]["mean"]["value"] for kind, one in kinds.items()}
        for number in (0, 1)
    )
    assert before[Kind.PAPER] > 2 * before[Kind.REAL]
    assert after[Kind.PAPER] < before[Kind.PAPER] / 2
    ends = {kind: study.arrays[f"{kind} heights"] for kind in kinds}
    for kind in kinds:
        low = ends[kind][:, 0] < np.inf
        assert np.median(ends[kind][low, 1]) < OPTIONS.epsilon


def test_more_pairs_connect_with_a_bypass_and_no_path_gets_worse(study: Study, kinds: dict[str, Any]) -> None:
    for kind, one in kinds.items():
        straight, bypassed = one["connected of those"]
        assert straight["total"] == one["both ends below epsilon"]
        assert bypassed["flagged"] >= straight["flagged"]
        heights = study.arrays[f"{kind} heights"]
        assert (
            (heights < OPTIONS.epsilon).sum(0) == [rate["flagged"] for rate in one["connected after each round"]]
        ).all()
        assert sum(one["segments needed (0: never)"].values()) == one["pairs"]
    assert (
        kinds[Kind.REAL]["connected of those"][1]["flagged"] / kinds[Kind.REAL]["connected of those"][1]["total"]
        >= 0.95
    )


def test_what_is_bypassed_stays_on_its_hyperplane(kinds: dict[str, Any]) -> None:
    assert kinds[Kind.PAPER]["bypassed"] > 2
    for one in kinds.values():
        assert one["furthest from the hyperplane"] is None or one["furthest from the hyperplane"] < 1e-5


def test_rounds_and_segments_are_counted_up_to_the_first_that_connects() -> None:
    heights = np.array([[0.05, 0.05, 0.05], [1, 0.05, 0.04], [1, 0.5, 0.09], [2, 1, 0.5]], np.float32)
    segments = np.array([[1, 1, 1], [1, 2, 2], [1, 2, 3], [1, 2, 4]])
    curves = LossCurves(np.linspace(0, 1, 3), np.array([[0, h, 0.2 * h] for h in heights[:, 0]], np.float32))
    one = Joined(Chains(curves, heights, segments, ()), np.zeros(4, np.int64), 0.1)
    assert one.rounds_needed.tolist() == [0, 1, 2, 3]
    assert one.segments_needed.tolist() == [1, 2, 3, 0]
    assert one.connectable.tolist() == [True, False, False, False]
    assert [rate.flagged for rate in one.connected(connectable=False)] == [1, 2, 3]
    assert [rate.total for rate in one.connected(connectable=True)] == [1, 1, 1]
