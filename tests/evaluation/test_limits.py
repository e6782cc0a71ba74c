from __future__ import annotations

from dataclasses import replace

from detector.evaluation.limits import plain_limits, prototypes_share, tramer_note
from detector.evaluation.results import Control, TramerCheck
from detector.metrics import realised_rate
from tests.support.results import realistic_results

RESULTS = realistic_results(seed=3)


def test_the_informed_attacker_comes_first_with_the_highest_rate() -> None:
    first, *_ = plain_limits(RESULTS.attacks, (), RESULTS.adaptive, None, suspect_rate=0.05)
    highest = max(point.sr5 for curve in RESULTS.adaptive for point in curve.points)
    assert f"{highest:.0%}" in first


def test_without_an_adaptive_attack_it_says_so() -> None:
    first, *_ = plain_limits(RESULTS.attacks, (), (), None, suspect_rate=0.05)
    assert "No attacker who knows the guard was tried" in first


def test_attacks_that_are_caught_are_no_limit() -> None:
    caught = [replace(a, included=replace(a.included, tpr_suspect=0.95), left_out=None) for a in RESULTS.attacks]
    assert len(plain_limits(caught, (), RESULTS.adaptive, None, suspect_rate=0.05)) == 1
    missed = [replace(caught[0], included=replace(caught[0].included, tpr_suspect=0.25)), *caught[1:]]
    sentences = plain_limits(missed, (), RESULTS.adaptive, None, suspect_rate=0.05)
    assert any(caught[0].name in sentence and "75%" in sentence for sentence in sentences)


def test_controls_flagged_more_than_twice_the_target_are_named() -> None:
    often, seldom = (
        Control(name=n, accuracy=None, suspect=realised_rate(f, 100), adversarial=realised_rate(0, 100))
        for n, f in (("hail", 11), ("rain", 10))
    )
    *_, last = plain_limits((), (often, seldom), (), None, suspect_rate=0.05)
    assert "hail, 11%" in last
    assert "rain" not in last


def test_prototypes_that_add_nothing_are_told_of() -> None:
    whole = RESULTS.channels[-1]
    assert prototypes_share(whole, replace(whole, forwards_per_image=3))
    assert not prototypes_share(whole, RESULTS.channels[0])
    assert not prototypes_share(whole, None)


def test_the_half_radius_note_has_both_radii() -> None:
    note = tramer_note(TramerCheck(radius=8 / 255, robust_with_rejection=0.5, implied_robust_at_half=0.5, note=""))
    assert "8/255" in note
    assert "4/255" in note
