"""A second fit, on what attackers who know the first one have found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector
from detector.attacks.threat_models import fgsm, pgd
from detector.calibration.hardening import adaptive_successes
from detector.calibration.measuring import Measurements
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.scoring.runner import OnnxScorer
from tests.support.calibrating import Recorder, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

PLAIN = replace(
    quick_options(ScorerChoice.SUPERVISED), attacks=(fgsm(40), pgd(40, steps=8)), attack_images=40, corrupted_copies=0
)
HARDENED = replace(PLAIN, hardening_images=10, hardening_steps=25)


@pytest.fixture(scope="module")
def folder(inputs: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardened")
    measured = Measurements(inputs, PLAIN, folder / "work", Recorder())
    for name, options in (("plain", PLAIN), ("hardened", HARDENED)):
        calibrate(inputs, options, folder / name, progress=Recorder(), measured=measured)
    return folder


def test_only_the_scorer_and_its_calibration_change(folder: Path) -> None:
    plain, hardened = (Detector.load(folder / name) for name in ("plain", "hardened"))
    assert hardened.bundle.parts.scorer != plain.bundle.parts.scorer
    assert hardened.bundle.parts.classifier == plain.bundle.parts.classifier
    np.testing.assert_array_equal(hardened.bundle.parts.prototypes.images, plain.bundle.parts.prototypes.images)
    assert hardened.bundle.manifest.plan == plain.bundle.manifest.plan
    assert hardened.bundle.manifest.provenance["options"]["hardening_images"] == 10


def test_what_was_found_is_found_again_and_scored_higher_than_before(inputs: CalibrationInputs, folder: Path) -> None:
    plain, hardened = (Detector.load(folder / name) for name in ("plain", "hardened"))
    told = Recorder()
    measured = Measurements(inputs, HARDENED, folder / "work", told)
    found = adaptive_successes(plain, measured, HARDENED, told)
    assert not [stage for stage in told.stages if stage.startswith("Hardening")]  # kept from the calibration
    features = np.concatenate(list(found.values()))
    assert len(features)
    before, after = (OnnxScorer(guard.bundle.parts.scorer).score(features) for guard in (plain, hardened))
    benign = [guard.bundle.parts.calibration.scores for guard in (plain, hardened)]
    ranks = [np.searchsorted(np.sort(own), scores).mean() for own, scores in zip(benign, (before, after), strict=True)]
    assert ranks[1] > ranks[0]


def test_a_second_round_attacks_other_images_by_way_of_the_guard_that_the_first_one_made(
    inputs: CalibrationInputs, folder: Path
) -> None:
    told = Recorder()
    measured = Measurements(inputs, HARDENED, folder / "work", told)
    twice = replace(HARDENED, hardening_rounds=2)
    calibrate(inputs, twice, folder / "twice", progress=told, measured=measured)
    rounds = {stage for stage in told.stages if stage.startswith("Hardening")}
    assert {stage.split(",")[1].strip() for stage in rounds} == {"round 2"}  # the first is found
    plain, hardened, again = (Detector.load(folder / name) for name in ("plain", "hardened", "twice"))
    first, second = (
        adaptive_successes(guard, measured, twice, told, turn=turn) for turn, guard in enumerate((plain, hardened))
    )
    assert first.keys().isdisjoint(second)
    rows = {features.tobytes() for features in np.concatenate([*first.values(), *second.values()])}
    assert len(rows) == sum(map(len, (*first.values(), *second.values())))
    assert again.bundle.parts.scorer not in (plain.bundle.parts.scorer, hardened.bundle.parts.scorer)
    assert again.bundle.manifest.provenance["options"]["hardening_rounds"] == 2


def test_a_one_class_guard_is_not_hardened(inputs: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    options = replace(HARDENED, scorer=ScorerChoice.ONE_CLASS)
    calibrate(inputs, options, tmp_path / "bundle", progress=told)
    assert any("one-class" in note and "not hardened" in note for note in told.notes)
