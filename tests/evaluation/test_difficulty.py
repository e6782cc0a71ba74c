"""False alarms by difficulty: by hand, and on a real evaluation by counting again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation.difficulty import LABELLED, Placed, difficulty_rows, worst_rate
from detector.evaluation.report.difficulty import difficulty
from detector.strata import Strata
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from tests.evaluation.conftest import Done

RATES = TargetRates(0.2, 0.05)


def _placed(numbers: list[int], p_values: list[float], undivided: list[float]) -> Placed:
    return Placed(np.array(numbers), np.array(p_values), np.array(undivided))


def test_rows_count_what_lies_in_each_bin() -> None:
    benign = _placed([0, 0, 0, 2, 2], [0.5, 0.2, 0.05, 0.3, 0.04], [0.9, 0.9, 0.9, 0.2, 0.01])
    attacks = [_placed([0, 2], [0.2, 0.9], [0.9, 0.1]), _placed([2, 2, 1], [0.01, 0.2, 0.01], [0.3, 0.3, 0.3])]
    easy, hard = difficulty_rows(Strata((1.0, 2.0)), benign, attacks, RATES)  # nothing benign lies between
    assert (easy.low, easy.high, hard.low, hard.high) == (None, 1.0, 2.0, None)
    assert [(rate.flagged, rate.total) for rate in (easy.suspect, easy.adversarial, easy.undivided)] == [
        (2, 3),
        (1, 3),
        (0, 3),
    ]
    assert [(rate.flagged, rate.total) for rate in (hard.suspect, hard.adversarial, hard.undivided)] == [
        (1, 2),
        (1, 2),
        (2, 2),
    ]
    assert easy.caught is not None
    assert (easy.caught.flagged, easy.caught.total, easy.auroc) == (1, 1, None)
    assert hard.caught is not None
    assert hard.caught_adversarial is not None
    assert hard.caught_undivided is not None
    assert (hard.caught.flagged, hard.caught_adversarial.flagged, hard.caught.total) == (2, 1, 3)
    assert hard.caught_undivided.flagged == 1
    assert hard.auroc is not None
    assert hard.auroc.value == 0.5  # 0.01 is below both benign ones, 0.2 below one, 0.9 below none


def test_without_attacks_there_are_false_alarms_alone() -> None:
    (row,) = difficulty_rows(Strata(()), _placed([0, 0], [0.5, 0.01], [0.5, 0.5]), [], RATES)
    assert (row.low, row.high, row.caught, row.caught_undivided, row.auroc) == (None, None, None, None, None)
    assert row.suspect.flagged == 1


def test_every_image_of_an_evaluation_is_in_one_bin(evaluated: Done) -> None:
    results = evaluated.results
    shown, labelled = results.difficulty
    assert (shown.labelled, labelled.labelled, labelled.by) == (False, True, LABELLED)
    flagged = sum(p <= results.suspect_rate for p in results.benign_p_values)
    attacked = sum(len(attack.rows) for attack in evaluated.material().attacked.values())
    for result in results.difficulty:
        assert sum(row.suspect.total for row in result.rows) == len(results.benign_p_values)
        assert sum(row.suspect.flagged for row in result.rows) == flagged
        assert sum(row.caught.total for row in result.rows if row.caught) == attacked
        assert worst_rate(result).rate == max(row.suspect.rate for row in result.rows)


def test_the_bins_are_those_the_guard_judges_by(evaluated: Done) -> None:
    material, result = evaluated.material(), evaluated.results.difficulty[0]
    strata = material.strata
    assert result.strata == strata.count > 1
    assert [row.low for row in result.rows] == [None, *strata.edges]
    detection = material.benign.detection
    hard = strata.difficulty(detection.logits) >= strata.edges[-1]
    hardest = result.rows[-1]
    assert hardest.suspect.flagged == (detection.p_values[hard] <= evaluated.results.suspect_rate).sum()
    assert hardest.suspect.total == hard.sum()


def test_hard_images_by_label_are_hard_by_the_proxy(evaluated: Done) -> None:
    """Images of the hardest bin by label are mostly those the classifier gets wrong."""
    rows = evaluated.results.difficulty[1].rows
    assert [row.low for row in rows][1:] == sorted(row.low for row in rows[1:] if row.low is not None)


def test_the_report_shows_both(evaluated: Done) -> None:
    body = str(difficulty(evaluated.results).body)
    assert f"thresholds in each of {evaluated.results.difficulty[0].strata} strata" in body
    assert "second logit minus first" in body
    assert LABELLED in body
    assert body.count("<table") == 2
