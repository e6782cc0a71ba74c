from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.evaluation.report import contenders
from detector.evaluation.report.curves import _curve
from detector.evaluation.report.front import _apart
from detector.evaluation.report.lines import in_levels
from detector.evaluation.report.verdicts import Answer, answers, strongest_adaptive
from detector.evaluation.results import Detected
from detector.metrics import Estimate, auroc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.evaluation.results import EvaluationResults, ScorerResult

RNG = np.random.default_rng(0)


def test_the_area_under_the_curve_is_the_auroc() -> None:
    benign, attacked = RNG.normal(size=300), RNG.normal(1, 2, 100)
    false, true = _curve(benign.tolist(), attacked.tolist())
    assert np.trapezoid(true, false) == pytest.approx(auroc(benign.astype(np.float32), attacked.astype(np.float32)))


def test_names_keep_their_order_and_distance_and_stay_below_the_top() -> None:
    for _ in range(50):
        values = np.sort(RNG.uniform(0.5, 1, RNG.integers(1, 9))).tolist()
        places = _apart(values, 0.05, 1.02)
        assert places == sorted(places)
        assert all(np.diff(places) > 0.05 - 1e-9)
        assert places[-1] <= 1.02
    assert _apart([0.1, 0.5], 0.05, 1.0) == [0.1, 0.5]


def _detected(*aurocs: float) -> dict[str, Detected]:
    return {
        f"attack {place}": Detected(auroc=Estimate(value, value, value), tpr_suspect=value, tpr_adversarial=value / 2)
        for place, value in enumerate(aurocs)
    }


def _peer(results: EvaluationResults, attacks: Mapping[str, Detected], **changes: object) -> ScorerResult:
    peer = replace(results.peers[0], attacks=attacks, left_out={}, needs_attacks=False)
    return replace(peer, **changes)  # type: ignore[arg-type]


def _guarded(results: EvaluationResults, *aurocs: float) -> EvaluationResults:
    attacks = [
        replace(one, name=name, included=detected, left_out=None)
        for one, (name, detected) in zip(results.attacks, _detected(*aurocs).items(), strict=False)
    ]
    return replace(results, attacks=attacks, channels=())


def _answer(results: EvaluationResults, question: str) -> Answer:
    return next(one for one in answers(results) if one.question == question)


def test_over_attacks_every_one_counts_the_same() -> None:
    over = contenders.overall(_detected(0.9, 0.6, 0.75))
    assert over is not None
    assert (over.worst, over.worst_attack) == (0.6, "attack 1")
    assert over.mean == pytest.approx(0.75)
    assert over.tpr_suspect == pytest.approx(0.75)
    assert over.tpr_adversarial == pytest.approx(0.375)
    assert contenders.overall({}) is None


@pytest.mark.parametrize(
    ("theirs", "ahead"),
    [((0.8, 0.7), True), ((0.95, 0.5), True), ((0.99, 0.75), False), ((0.81, 0.81), False), ((0.9, 0.8), False)],
    ids=["both", "not their best attack", "mean", "worst", "equal"],
)
def test_being_ahead_takes_mean_and_worst(
    results: EvaluationResults, theirs: tuple[float, ...], *, ahead: bool
) -> None:
    changed = replace(_guarded(results, 0.9, 0.8), peers=[_peer(results, _detected(*theirs))])
    found = _answer(changed, "Is it ahead of every peer?")
    assert found.good == ahead
    assert ("max softmax" in found.finding) != ahead


def test_only_attacks_that_both_met_are_compared(results: EvaluationResults) -> None:
    easy = _detected(0.85)
    changed = replace(_guarded(results, 0.9, 0.5), peers=[_peer(results, easy)])
    assert _answer(changed, "Is it ahead of every peer?").good
    strange = {"something else": easy["attack 0"]}
    assert not _answer(replace(changed, peers=[_peer(results, strange)]), "Is it ahead of every peer?").good


def test_a_part_of_the_guard_may_win_at_lower_cost(results: EvaluationResults) -> None:
    peer = _peer(results, _detected(0.7, 0.6), forwards_per_image=20)
    changed = replace(_guarded(results, 0.9, 0.8), peers=[peer])
    question = "Is it so at equal or lower cost?"
    assert not _answer(changed, question).good
    part = _peer(results, _detected(0.75, 0.65), forwards_per_image=20, name="part")
    assert _answer(replace(changed, channels=[part]), question).good


@pytest.mark.parametrize(("flagged", "kept"), [(50, True), (10, True), (90, False)])
def test_the_promise_is_kept_unless_more_is_flagged_than_chance_explains(
    results: EvaluationResults, flagged: int, *, kept: bool
) -> None:
    p_values = [0.03] * flagged + [0.5] * (1000 - flagged)
    found = _answer(replace(results, benign_p_values=p_values), "Is the promised false-positive rate kept?")
    assert found.good == kept
    assert f"SUSPECT {flagged / 1000:.1%}" in found.finding


def test_controls_may_be_flagged_twice_as_often(results: EvaluationResults) -> None:
    found = _answer(results, "Are images nobody attacked left alone?")
    assert not found.good
    assert "6 of 9 kinds; not Gaussian noise, sigma 0.05 (12.0%)" in found.finding


def test_the_strongest_attack_at_8_255_counts_per_configuration(results: EvaluationResults) -> None:
    strongest = strongest_adaptive(results.adaptive)
    assert {name: curve.name for name, (curve, _) in strongest.items()} == {
        "default": "Orthogonal PGD, Linf",
        "strict: 64 forwards": "Orthogonal PGD, Linf",
    }
    assert all(point.budget == pytest.approx(8 / 255) for _, point in strongest.values())
    assert strongest_adaptive([replace(one, points=one.points[:2]) for one in results.adaptive]) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Orthogonal PGD", True), ("PGD-Linf", True), ("PGD-L2", False), ("loss, l1", False), ("model12", True)],
)
def test_budgets_are_255ths_unless_the_name_says_another_norm(
    results: EvaluationResults, name: str, *, expected: bool
) -> None:
    assert in_levels(replace(results.adaptive[0], name=name)) == expected
