from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import betabinom

from detector import Detector, read_bundle
from detector.attacks.threat_models import fgsm, pgd
from detector.calibration.measuring import Measurements
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.tuning.decisions import Subject, TuningDecision
from detector.calibration.tuning.evidence import gather, sources
from detector.calibration.tuning.folds import folds, left_out_quality
from detector.calibration.tuning.grids import dense_grid
from detector.calibration.tuning.options import Knob
from detector.engine.walker import PathWalker
from detector.scoring.features import profile_features
from tests.calibration.tuning.conftest import SMALL, Tuned, run, tuned_options
from tests.support.calibrating import ALPHAS_ALONE, Recorder, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault

KEPT = replace(SMALL, kept=tuple(Knob), undecided_images=0)


def test_what_a_grid_within_the_dense_one_would_read_is_what_a_walk_on_it_reads(
    inputs: CalibrationInputs, tmp_path: Path
) -> None:
    options = quick_options()
    wide = replace(options, alphas=dense_grid((1, 2, 4), options.grid))
    measured = Measurements(inputs, wide, tmp_path, Recorder())
    evidence = gather(measured, sources(measured), benign=40, attacked=5)
    classifier = inputs.loaded.classifier
    for alphas in (options.grid, (0.04, 0.25, 0.64)):
        narrow = replace(options, alphas=alphas, runner_up_prototypes=0)
        plan = narrow.plan(classifier.spec, taps=True)
        walked = PathWalker(classifier, measured.prototypes, plan).profile(measured.images_at(evidence.benign.images))
        columns = evidence.columns(measured.names_of(plan))
        np.testing.assert_allclose(evidence.benign.features[:, columns], profile_features(walked), rtol=1e-3, atol=1e-3)


def test_every_image_and_every_kin_is_held_out_once(untapped: CalibrationInputs, tmp_path: Path) -> None:
    measured = Measurements(untapped, quick_options(), tmp_path, Recorder())
    evidence = gather(measured, sources(measured), benign=60, attacked=10)
    cut = folds(evidence)
    held_out = np.concatenate([fold.images for fold in cut])
    assert sorted(held_out) == sorted(evidence.benign.images)
    assert sorted(kin for fold in cut for kin in fold.kins) == sorted(set(evidence.kins.values()))
    assert not set(evidence.benign.images) & set(measured.split.calibration)
    assert not {image for one in evidence.attacked.values() for image in one.images} & set(measured.split.calibration)
    quality = left_out_quality(evidence, evidence.all_columns)
    assert set(quality.parts) == set(evidence.attacked)
    assert 0.5 < quality.value <= 1


def test_the_bundle_is_made_as_was_decided_and_says_so(tuned: Tuned) -> None:
    bundle = read_bundle(tuned.result.path)
    recorded = bundle.manifest.provenance["tuning"]
    decisions = [TuningDecision.from_json(one) for one in recorded["decisions"]]
    assert tuple(decisions) == tuned.result.decisions
    subjects = [one.subject for one in decisions]
    assert subjects[:4] == [Subject.PROTOTYPES, Subject.ALPHAS, Subject.SMOOTHNESS, Subject.THRESHOLDS]
    assert any("blended with others" in sentence for sentence in recorded["missing"])
    plan = bundle.manifest.plan
    assert decisions[2].choice.forwards == plan.forwards_per_image
    names = [target.name for target in plan.targets]
    prototypes = sum(name.startswith("prototype") for name in names)
    runner_ups = sum(name.startswith("runner_up") for name in names)
    assert decisions[0].chosen == f"{prototypes} of the class, {runner_ups or 'none'} of the runner-up"
    assert decisions[1].chosen.startswith(f"{len(plan.alphas)} point")
    assert bundle.parts.prototypes.per_class == prototypes
    options = bundle.manifest.provenance["options"]
    assert options["tuning"] is None
    assert options["prior_strength"] == bundle.manifest.calibration.prior_strength
    assert tuned.told.steps == {title: (count, count) for title, (count, _) in tuned.told.steps.items()}


def test_what_was_decided_can_be_asked_for(tuned: Tuned, untapped: CalibrationInputs, tmp_path: Path) -> None:
    said = read_bundle(tuned.result.path).manifest.provenance["options"]
    options = quick_options()
    options = replace(
        options,
        prototypes=replace(
            options.prototypes,
            per_class=said["prototypes"]["per_class"],
            smoothness=said["prototypes"]["smoothness"],
        ),
        runner_up_prototypes=said["runner_up_prototypes"],
        points=said["points"],
        alphas=said["alphas"] and tuple(said["alphas"]),
        prior_strength=said["prior_strength"],
    )
    plain = calibrate(untapped, options, tmp_path / "plain", progress=Recorder())
    files = dict(plain.manifest.files), dict(tuned.result.manifest.files)
    same = {"classifier.onnx", "prototypes.safetensors", "scorer.onnx", "calibration.safetensors"}
    for name in same:
        assert (plain.path / name).read_bytes() == (tuned.result.path / name).read_bytes()
    assert files[0].keys() == files[1].keys()


@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_false_alarms_are_as_many_as_promised(tuned: Tuned, digits: EmbeddedDefault, rate: float) -> None:
    p_values = Detector.load(tuned.result.path).score(digits.test.pixels).p_values
    flagged = int((p_values <= rate).sum())
    rank = rate * 541  # of the calibration images and the one that is judged
    allowed = betabinom(len(p_values), rank, 541 - rank)
    assert allowed.cdf(flagged) > 1e-3
    assert allowed.sf(flagged - 1) > 1e-3


def test_a_seed_decides_and_an_interrupted_search_goes_on(
    tuned: Tuned, untapped: CalibrationInputs, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    stopped = Recorder(interrupt_at="Bypassing")
    with pytest.raises(KeyboardInterrupt):
        calibrate(untapped, tuned_options(), out, progress=stopped)
    again = run(untapped, tuned_options(), out)
    assert again.result.digest == tuned.result.digest
    assert [title for title in again.told.stages if title.startswith("Walking")] == []
    assert "Bypassing barriers" in again.told.stages


def test_what_the_user_gave_is_kept(untapped: CalibrationInputs, tmp_path: Path) -> None:
    options = tuned_options(tuning=KEPT)
    found = run(untapped, options, tmp_path / "bundle").result
    assert found.manifest.plan == options.plan(untapped.loaded.classifier.spec)
    given = [one.subject for one in found.decisions if one.why == "given by the user, so not chosen here"]
    assert given == [Subject.PROTOTYPES, Subject.ALPHAS, Subject.SMOOTHNESS]


def test_a_budget_is_kept(untapped: CalibrationInputs, tmp_path: Path) -> None:
    tuning = replace(SMALL, budget=5, smoothness=(0.0,), undecided_images=0)
    found = run(untapped, tuned_options(tuning=tuning), tmp_path / "bundle").result
    assert found.manifest.plan.forwards_per_image <= 5
    alphas = next(one for one in found.decisions if one.subject is Subject.ALPHAS)
    assert {one.barred for one in alphas.candidates} == {"", "beyond the budget of 5 forwards"}


def test_without_gradients_the_rest_is_decided_and_it_is_said_what_is_not(
    untapped: CalibrationInputs, tmp_path: Path
) -> None:
    blind = replace(untapped, gradients=None)
    found = run(blind, tuned_options(ScorerChoice.AUTO), tmp_path / "bundle").result
    assert [one.subject for one in found.decisions] == [Subject.PROTOTYPES, Subject.ALPHAS, Subject.THRESHOLDS]
    missing = " ".join(found.manifest.provenance["tuning"]["missing"])
    assert "without gradients they are real images" in missing
    assert "bypasses need gradients" in missing


def test_a_scorer_that_learns_from_attacks_is_tuned_by_them(untapped: CalibrationInputs, tmp_path: Path) -> None:
    options = replace(
        tuned_options(ScorerChoice.SUPERVISED, ALPHAS_ALONE), attacks=(fgsm(32), pgd(32)), corrupted_copies=1
    )
    found = run(untapped, options, tmp_path / "bundle").result
    alphas = next(one for one in found.decisions if one.subject is Subject.ALPHAS)
    assert {len(one.name.split(": ")[1].split(", ")) for one in alphas.candidates} == {1, 2}
    assert "2 attacks" in alphas.images
    assert found.manifest.calibration.scorer == "supervised"
    assert found.manifest.provenance["tuning"]["missing"] == []
