from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.evaluation.comparing import (
    ACCURACY,
    ALARMS,
    AUROC,
    EVADED,
    FIGURES,
    LEFT_AUROC,
    LEFT_TPR,
    MOVED,
    TPR,
    GuardAnswers,
    Successes,
    compare,
    guard_answers,
)
from detector.metrics import auroc

if TYPE_CHECKING:
    from tests.evaluation.conftest import Done

IMAGES = 40


def _answers(seed: int, *, shift: float = 1.0, moved: int = 15) -> GuardAnswers:
    rng = np.random.default_rng(seed)
    benign = rng.normal(size=IMAGES).astype(np.float32)

    def successes(count: int) -> Successes:
        scores = rng.normal(shift, 1, count).astype(np.float32)
        return Successes(rng.permutation(20)[:count], scores, benign)

    attacks = {"one": successes(moved), "other": successes(8)}
    return GuardAnswers(
        right=rng.random(IMAGES) < 0.9,
        alarms=benign > 1.6,
        rate=0.1,
        tried={name: np.arange(20) for name in attacks},
        included=attacks,
        left_out={name: replace(attack, scores=-attack.scores) for name, attack in attacks.items()},
        forwards=19,
        milliseconds=1.0,
    )


def test_figures_are_what_they_are_called() -> None:
    answers = _answers(0)
    found = compare({"guard": [answers]}, seed=0, draws=50)
    figures = {name: estimate.value for name, estimate in found.figures["guard"].items()}
    attacks = list(answers.included.values())
    assert set(figures) == set(FIGURES)
    assert figures[ACCURACY] == pytest.approx(answers.right.mean())
    assert figures[ALARMS] == pytest.approx(answers.alarms.mean())
    assert figures[AUROC] == pytest.approx(np.mean([auroc(a.benign, a.scores) for a in attacks]))
    assert figures[LEFT_AUROC] == pytest.approx(np.mean([auroc(a.benign, -a.scores) for a in attacks]))
    threshold = np.sort(attacks[0].benign)[-5]  # above it there are four of forty
    assert figures[TPR] == pytest.approx(np.mean([(a.scores > threshold).mean() for a in attacks]))
    assert figures[LEFT_TPR] == pytest.approx(np.mean([(-a.scores > threshold).mean() for a in attacks]))
    assert figures[MOVED] == pytest.approx((15 / 20 + 8 / 20) / 2)
    assert figures[EVADED] == pytest.approx(np.mean([(-a.scores <= threshold).sum() / 20 for a in attacks]))
    assert found.attacks == ("one", "other")


def test_as_many_benign_images_are_flagged_in_every_draw_whatever_the_scores() -> None:
    benign = np.arange(IMAGES, dtype=np.float32)
    attack = Successes(np.zeros(3, np.int64), np.array([30.5, 36, 36.5], np.float32), benign)
    weights = np.ones((2, IMAGES))
    weights[1, 36] = 4  # of 43, so that 4.3 may be flagged: 37, 38 and 39
    assert attack.flagged(weights, 0.1).tolist() == [[False, True, True], [False, False, True]]
    assert not attack.flagged(weights, 0.0)[0, 2]


def test_ties_count_half() -> None:
    answers = _answers(0)
    flat = replace(answers.included["one"], scores=np.zeros(15, np.float32), benign=np.zeros(IMAGES, np.float32))
    same = replace(answers, included={"one": flat}, left_out={"one": flat}, tried={"one": np.arange(20)})
    assert compare({"guard": [same]}, seed=0, draws=5).figures["guard"][AUROC].value == 0.5


def test_a_guard_differs_from_itself_by_nothing_in_every_draw() -> None:
    found = compare({"a": [_answers(0)], "b": [_answers(0)]}, seed=0, draws=200)
    for estimate in found.difference("a", "b").values():
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert found.figures["a"][AUROC].low < found.figures["a"][AUROC].value < found.figures["a"][AUROC].high


def test_a_better_guard_is_told_from_a_worse_one() -> None:
    found = compare({"good": [_answers(0, shift=4)], "bad": [_answers(1, shift=0)]}, seed=0, draws=500)
    difference = found.difference("good", "bad")[AUROC]
    assert difference.low > 0
    swapped = found.difference("bad", "good")[AUROC]
    assert (swapped.value, swapped.high) == pytest.approx((-difference.value, -difference.low))


def test_alike_guards_stand_for_one_by_their_mean() -> None:
    one, other = _answers(0), _answers(1)
    apart = [compare({"guard": [each]}, seed=0, draws=5).figures["guard"] for each in (one, other)]
    together = compare({"guard": [one, other]}, seed=0, draws=5).figures["guard"]
    for name in FIGURES:
        assert together[name].value == pytest.approx((apart[0][name].value + apart[1][name].value) / 2)


def test_an_attack_that_moves_nothing_of_one_guard_counts_for_what_gets_by_and_not_for_the_auroc() -> None:
    answers = _answers(0)
    less = {"one": answers.included["one"]}
    spared = replace(answers, included=less, left_out=less, tried={"one": np.arange(20)})
    found = compare({"a": [answers], "b": [spared]}, seed=0, draws=5)
    assert found.attacks == ("one",)
    assert found.figures["b"][MOVED].value == pytest.approx(15 / 20 / 2)
    assert found.figures["a"][MOVED].value == pytest.approx((15 / 20 + 8 / 20) / 2)


def test_without_an_attack_that_moved_two_images_of_each_there_is_nothing_to_compare() -> None:
    with pytest.raises(AnalysisError, match="no attack moved 2 images of every guard"):
        compare({"a": [replace(_answers(0), included={}, left_out={}, tried={})]}, seed=0)


def test_the_answers_are_those_of_the_evaluation(evaluated: Done) -> None:
    material = evaluated.material()
    answers = guard_answers(material)
    figures = compare({"guard": [answers]}, seed=0, draws=100).figures["guard"]
    results = evaluated.results
    assert figures[ACCURACY].value == pytest.approx(results.accuracy)
    assert answers.forwards == results.forwards_per_image
    whole = {attack.name: attack for attack in results.attacks}
    assert set(answers.included) <= set(whole)
    for name, seen in answers.included.items():
        assert len(seen.sources) == whole[name].successful
        assert len(answers.tried[name]) == whole[name].attacked
        assert auroc(seen.benign, seen.scores) == pytest.approx(whole[name].included.auroc.value)
        left, told = answers.left_out[name], whole[name].left_out
        assert told is not None
        assert auroc(left.benign, left.scores) == pytest.approx(told.auroc.value)
