from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.conformal import ConformalCalibration
from detector.evaluation.contest import peer_results
from detector.evaluation.material import Material
from detector.evaluation.peers.confidence import MaxSoftmax
from detector.evaluation.peers.lid import LocalIntrinsicDimensionality
from detector.evaluation.peers.mahalanobis import Mahalanobis
from detector.metrics import auroc
from tests.evaluation.conftest import SMALL
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from tests.evaluation.conftest import Done


def test_a_peer_is_judged_as_the_guard_is_on_the_same_images(evaluated: Done) -> None:
    material = evaluated.material()
    (result,) = peer_results(material, [MaxSoftmax])

    def scores(logits: np.ndarray) -> np.ndarray:
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return 1 - exponents.max(axis=1) / exponents.sum(axis=1)

    classifier, measured, strata = material.detector.classifier, material.measured, material.strata
    rows = measured.split.calibration
    known = scores(classifier.logits(measured.images_at(rows))).astype(np.float32)
    strength = SMALL.calibration.prior_strength
    calibration = ConformalCalibration.of(known, measured.logits[rows], strata, strength)
    benign = scores(material.benign.detection.logits).astype(np.float32)
    assert set(result.attacks) == {name for name, a in material.attacked.items() if len(a.rows) > 1}
    for name, detected in result.attacks.items():
        answers = material.attacked[name].scored.detection
        attacked = scores(answers.logits).astype(np.float32)
        assert abs(detected.auroc.value - auroc(benign, attacked)) < 0.01
        flagged = calibration.p_values(attacked, answers.predicted, strata.difficulty(answers.logits)) <= 0.05
        assert abs(detected.tpr_suspect - flagged.mean()) < 0.05
    assert result.forwards_per_image == 1
    assert result.left_out == {}


def test_a_peer_that_learns_from_attacks_is_given_those_of_the_guard(evaluated: Done) -> None:
    (result,) = peer_results(evaluated.material(), [partial(Mahalanobis, supervised=True)])
    assert result.needs_attacks
    assert result.attacks["PGD-Linf-60/255"].auroc.value > 0.5


def test_peers_score_no_more_images_than_they_are_to(evaluated: Done) -> None:
    few = replace(SMALL, peer_images=(60, 50, 20))
    material = Material(evaluated.inputs, few, evaluated.folder / ".work", Recorder())
    (result,) = peer_results(material, [MaxSoftmax])
    assert result.false_positives.total == 50


def test_a_peer_that_cannot_run_is_left_out_with_a_note(evaluated: Done) -> None:
    seen = Recorder()
    material = Material(evaluated.inputs, SMALL, evaluated.folder / ".work", seen)
    greedy = partial(LocalIntrinsicDimensionality, neighbours=10_000)
    (result,) = peer_results(material, [greedy, MaxSoftmax])
    assert result.name == MaxSoftmax().name
    assert any(note.startswith("peer left out: lid") for note in seen.notes)
