from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from detector.calibration.tuning.decisions import Subject, Tried, TuningDecision, decide
from detector.calibration.tuning.quality import Quality

ERROR = 0.01


def _tried(name: str, forwards: int, value: float, *, at: int, barred: str = "") -> Tried:
    """Qualities whose images differ, so that the error of each difference is ERROR times the root of 2."""
    influence = np.zeros(8)
    influence[at] = ERROR
    return Tried(name, forwards, Quality(value, influence, {"one": value - 0.1, "other": value + 0.1}), barred)


def _decided(*tried: Tried, standing: str = "") -> TuningDecision:
    return decide(Subject.ALPHAS, tried, standing=standing, measure="AUROC", images="some")


DEAR = _tried("dear", 19, 0.95, at=0)
CHEAP = _tried("cheap", 7, 0.94, at=1)
CHEAPER = _tried("cheaper", 3, 0.90, at=2)
AS_CHEAP = _tried("as cheap", 7, 0.945, at=3)

CASES = {
    "the cheapest within one standard error": ((DEAR, CHEAP, CHEAPER), "", "cheap"),
    "the best where nothing is within": ((DEAR, CHEAPER), "", "dear"),
    "in place, of those that cost the same": ((DEAR, CHEAP, AS_CHEAP), "cheap", "cheap"),
    "the better, of those that cost the same": ((DEAR, CHEAP, AS_CHEAP), "dear", "as cheap"),
    "not what is barred": ((replace(DEAR, barred="beyond the budget"), CHEAPER, CHEAP), "", "cheap"),
}


@pytest.mark.parametrize("name", CASES)
def test_which_is_chosen(name: str) -> None:
    tried, standing, chosen = CASES[name]
    decision = _decided(*tried, standing=standing)
    assert decision.chosen == decision.choice.name == chosen
    assert [one.name for one in decision.candidates] == [one.name for one in tried]


def test_what_is_barred_may_be_better_than_the_best() -> None:
    decision = _decided(replace(DEAR, barred="beyond the budget"), CHEAP)
    dear, cheap = decision.candidates
    assert dear.behind == pytest.approx(-0.01)
    assert cheap.behind == 0
    assert dear.barred == "beyond the budget"


def test_the_reason_tells_how_far_behind_it_is() -> None:
    why = _decided(DEAR, CHEAP, CHEAPER).why
    assert (
        why
        == "the cheapest, and one of 2 within one standard error of the best, dear: 0.0100 behind, give or take 0.0141"
    )
    assert _decided(DEAR, CHEAPER).why == "the best, and no other is within one standard error of it"


def test_what_the_user_gave_is_no_choice() -> None:
    decision = decide(Subject.ALPHAS, [CHEAP], standing="cheap", measure="AUROC", images="some", kept=True)
    assert decision.why == "given by the user, so not chosen here"


def test_the_lowest_of_several_is_named() -> None:
    assert _decided(DEAR).candidates[0].worst == "0.850 (one)"


def test_json_reads_back() -> None:
    decision = _decided(DEAR, CHEAP, replace(CHEAPER, barred="no"))
    assert TuningDecision.from_json(json.loads(json.dumps(decision.to_json()))) == decision
