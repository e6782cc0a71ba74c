"""The guard that was tuned, beside the guard as it is without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.threat_models import fgsm
from detector.calibration.options import ScorerChoice
from detector.calibration.tuning.decisions import Subject, TuningDecision
from detector.calibration.tuning.options import Knob, TuningOptions
from detector.evaluation.material import Material
from detector.evaluation.options import EvaluationOptions
from detector.evaluation.tuned import tuning_result
from tests.support.calibrating import Recorder, digits_inputs, quick_options

if TYPE_CHECKING:
    from detector.embedded import EmbeddedDefault

TUNING = TuningOptions(
    kept=(Knob.SMOOTHNESS, Knob.POINTS),
    prototypes=(1,),
    runner_ups=(0,),
    prior_strengths=(100.0,),
    benign_images=60,
    attacked_images=20,
    undecided_images=0,
)
OPTIONS = EvaluationOptions(
    calibration=replace(quick_options(ScorerChoice.ONE_CLASS), tuning=TUNING), models=(fgsm(60),), attack_images=40
)


@pytest.fixture(scope="module")
def material(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material(digits_inputs(digits, taps=False), OPTIONS, tmp_path_factory.mktemp("tuned") / ".work", Recorder())


def test_both_meet_the_same_images_and_attacks_and_only_what_was_chosen_differs(material: Material) -> None:
    found = tuning_result(material)
    assert found is not None
    plain = material.untuned
    np.testing.assert_array_equal(plain.benign.images, material.benign.images)
    assert set(found.untuned.attacks) == set(plain.attacked) == set(material.attacked) == {"FGSM-Linf-60/255"}
    for name, attack in material.attacked.items():
        np.testing.assert_array_equal(plain.attacked[name].scored.images, attack.scored.images)
    np.testing.assert_array_equal(plain.measured.split.calibration, material.measured.split.calibration)
    defaults = quick_options().plan(plain.detector.bundle.manifest.spec)
    assert plain.detector.bundle.manifest.plan == defaults
    assert found.untuned.forwards_per_image == defaults.forwards_per_image
    decisions = [TuningDecision.from_json(one) for one in found.decisions]
    chosen = next(one for one in decisions if one.subject is Subject.SMOOTHNESS).choice.forwards
    assert material.detector.bundle.manifest.plan.forwards_per_image == chosen
    assert plain.bundle != material.bundle


def test_nothing_that_tests_had_a_part_in_what_was_chosen(material: Material) -> None:
    tested = {image.tobytes() for image in material.benign.images}
    fitting = material.measured.images_at(material.measured.split.fit)
    assert not tested & {image.tobytes() for image in fitting}
    assert material.tuning is not None
    assert all("that fit the scorer" in one.images for one in material.tuning.decisions)


def test_without_tuning_there_is_no_other_guard(material: Material) -> None:
    plain = material.untuned
    assert plain.tuning is None
    assert tuning_result(plain) is None
    assert plain.calibration == replace(OPTIONS.calibration, tuning=None)
