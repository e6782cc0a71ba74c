from __future__ import annotations

import json

import numpy as np
import pytest

from detector.attacks.threat_models import Kin
from detector.evaluation.comparing import ALARMS, EVADED, LEFT_AUROC, GuardAnswers, Successes, compare
from detector.metrics import Estimate
from detector.research.permutation.combining import ENSEMBLE, MERGED
from detector.research.permutation.guards import SINGLE, Guards, better, quick_benchmark

IMAGES, ATTACKED = 200, 60


def _answers(seed: int, shift: float, moved: int = ATTACKED) -> GuardAnswers:
    """A guard to whom attacked images look so much more adversarial, in standard deviations."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(shift, 1, ATTACKED).astype(np.float32)[:moved]
    benign = np.random.default_rng(9).normal(size=IMAGES).astype(np.float32)
    attack = {"one": Successes(np.arange(moved), scores, benign)}
    return GuardAnswers(
        right=np.ones(IMAGES, np.bool_),
        alarms=benign > 1.6,
        rate=0.05,
        tried={"one": np.arange(ATTACKED)},
        included=attack,
        left_out=attack,
        forwards=19,
        milliseconds=1.0,
    )


def _guards(merged: GuardAnswers, single: GuardAnswers, ensemble: GuardAnswers) -> Guards:
    comparison = compare({SINGLE: [single], MERGED: [merged], ENSEMBLE: [ensemble]}, seed=0, draws=300)
    return Guards(comparison, {SINGLE: 19, MERGED: 19, ENSEMBLE: 57}, dict.fromkeys((SINGLE, MERGED, ENSEMBLE), 1.0), 1)


def test_a_guard_that_tells_attacks_better_is_better_and_one_that_does_not_is_worse() -> None:
    good, bad = _answers(0, 2.5), _answers(1, 0.5)
    guards = _guards(good, bad, _answers(0, 2.5))
    assert guards.verdict(SINGLE) is True
    assert guards.verdict(ENSEMBLE) is None
    assert _guards(bad, good, good).verdict(SINGLE) is False


def test_better_in_one_and_worse_in_the_other_stays_open() -> None:
    robust, seeing = _answers(0, 0.3, moved=20), _answers(1, 1.4)
    guards = _guards(robust, seeing, seeing)
    difference = guards.comparison.difference(MERGED, SINGLE)
    assert better(LEFT_AUROC, difference[LEFT_AUROC]) is False
    assert better(EVADED, difference[EVADED]) is True
    assert guards.verdict(SINGLE) is None


@pytest.mark.parametrize("name", [LEFT_AUROC, EVADED, ALARMS])
def test_what_is_better_depends_on_the_figure(name: str) -> None:
    more, less, neither = Estimate(0.2, 0.1, 0.3), Estimate(-0.2, -0.3, -0.1), Estimate(0.1, -0.1, 0.3)
    higher = name == LEFT_AUROC
    assert better(name, more) is higher
    assert better(name, less) is not higher
    assert better(name, neither) is None


def test_they_are_told_in_json() -> None:
    guards = _guards(_answers(0, 2), _answers(1, 1), _answers(2, 1))
    told = json.loads(json.dumps(guards.to_json(), allow_nan=False))
    value, low, high = told["merged less"][SINGLE]["figures"][LEFT_AUROC]
    found = guards.comparison.difference(MERGED, SINGLE)[LEFT_AUROC]
    assert (value, low, high) == (found.value, found.low, found.high)
    assert told["merged less"][SINGLE]["better"] is guards.verdict(SINGLE)
    assert told["figures"][ENSEMBLE]["forwards"] == 57


def test_the_quick_benchmark_leaves_every_kin_out_that_it_trains_on() -> None:
    options = quick_benchmark(doublings=2, seed=5)
    trained = {model.kin for model in options.calibration.attacks}
    assert trained == {model.kin for model in options.models}
    assert trained == {Kin.ONE_STEP, Kin.ITERATED, Kin.MINIMUM_NORM, Kin.QUERY, Kin.SPARSE}
    assert options.leave_out
    assert options.models[0].budget == pytest.approx(32 / 255)
    assert options.calibration.seed == options.seed == 5
