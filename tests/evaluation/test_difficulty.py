"""False alarms by difficulty: by hand, and on a real evaluation by counting again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from detector.evaluation.difficulty import LABELLED, Placed, difficulty_rows
from detector.evaluation.report.difficulty import difficulty
from detector.strata import ONE_STRATUM, Proxy, Strata, difficulty_of, quantile_strata
from detector.verdicts import TargetRates
from tests.support.results import realistic_results

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


def test_bins_without_strata_are_fifths_of_the_images_that_fit(evaluated: Done) -> None:
    material, result = evaluated.material(), evaluated.results.difficulty[0]
    assert material.strata == ONE_STRATUM  # 324 calibration images are too few for two strata
    fitting = difficulty_of(material.measured.logits[material.measured.split.fit], Proxy.MARGIN)
    bins = quantile_strata(fitting, 5, least=0, proxy=Proxy.MARGIN)
    assert result.strata == 1
    assert [row.low for row in result.rows] == [None, *bins.edges]
    assert all(row.undivided == row.suspect and row.caught_undivided == row.caught for row in result.rows)
    detection = material.benign.detection
    hard = difficulty_of(detection.logits, Proxy.MARGIN) >= bins.edges[-1]
    hardest = result.rows[-1].suspect
    assert hardest.flagged == (detection.p_values[hard] <= evaluated.results.suspect_rate).sum()
    assert hardest.total == hard.sum()


def test_misclassified_images_are_in_the_hardest_bin_by_label(evaluated: Done) -> None:
    material, result = evaluated.material(), evaluated.results.difficulty[1]
    edge = result.rows[-1].low
    assert edge is not None
    logits = material.benign.detection.logits
    losses = log_loss_of(logits, material.labels)
    assert (losses[~material.right] >= edge - 1e-6).all()
    assert result.rows[-1].suspect.total == (losses >= edge).sum()


def log_loss_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of the labels."""
    return np.asarray(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels])


def test_the_report_says_whether_thresholds_are_set_in_strata() -> None:
    results = realistic_results()
    body = "".join(map(str, difficulty(results).body))
    assert "thresholds in each of 4 strata" in body
    assert "second logit minus first" in body
    assert LABELLED in body
    assert body.count("<table") == 2
    assert "below -9, the easiest" in body
    assert "from -2, the hardest" in body
    whole = replace(results, difficulty=[replace(one, strata=1) for one in results.difficulty])
    assert "one set of thresholds for easy and hard images alike" in "".join(map(str, difficulty(whole).body))
    without = "".join(map(str, difficulty(replace(results, difficulty=())).body))
    assert "Figures by difficulty were not computed" in without
