from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import betabinom

from detector import Detector, Verdict
from detector.attacks.running import run_attack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import pgd
from detector.calibration.measuring import Measurements
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.stratifying import draw_strata
from detector.images import to_canonical
from detector.metrics import auroc
from detector.prototypes.options import PrototypeStart
from detector.versions import tool_versions
from tests.support.bundles import digits_torch
from tests.support.calibrating import Recorder, quick_options, unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.pipeline import CalibrationResult
    from detector.embedded import EmbeddedDefault

SUPERVISED = quick_options(ScorerChoice.SUPERVISED)
CALIBRATING = 540  # of the 900 images


@dataclass(frozen=True)
class Run:
    """A finished calibration."""

    result: CalibrationResult
    told: Recorder
    detector: Detector


def _run(inputs: CalibrationInputs, folder: Path, name: str) -> Run:
    given, options = {
        "one-class": (inputs, quick_options()),
        "supervised": (inputs, SUPERVISED),
        "medoids": (replace(inputs, gradients=None), quick_options(ScorerChoice.AUTO)),
        "unlabelled": (unlabelled(inputs), quick_options()),
    }[name]
    told = Recorder()
    result = calibrate(given, options, folder / name, progress=told)
    return Run(result, told, Detector.load(folder / name))


KINDS = ("one-class", "supervised", "medoids", "unlabelled")


@pytest.fixture(scope="module")
def runs(inputs: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("calibrated")
    found = {name: _run(inputs, folder, name) for name in KINDS}
    assert {path.name for path in folder.iterdir()} == set(KINDS), "work folders are left"
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_is_the_one_that_is_reported(runs: dict[str, Run], kind: str) -> None:
    run = runs[kind]
    assert run.detector.bundle.digest == run.result.digest
    assert run.detector.bundle.manifest.calibration == run.result.manifest.calibration
    assert run.detector.bundle.manifest.plan.forwards_per_image == 1 + 4 * 2 + 2
    assert sum(run.result.manifest.calibration.images_per_class) == CALIBRATING


def test_thresholds_are_set_in_strata_that_the_fitting_images_draw(
    runs: dict[str, Run], inputs: CalibrationInputs, tmp_path: Path
) -> None:
    measured = Measurements(inputs, quick_options(), tmp_path / "work", Recorder())
    found = runs["one-class"].detector.bundle
    fitting, rows = measured.logits[measured.split.fit], measured.split.calibration
    strata = found.parts.calibration.strata
    assert draw_strata(fitting, CALIBRATING, quick_options()) == (strata, [])
    assert strata.count == 2  # 540 images are too few for three times 198
    np.testing.assert_array_equal(np.bincount(strata.numbers(strata.difficulty(fitting))), [180, 180])
    counts = strata.counts(measured.logits[rows])
    assert found.manifest.calibration.images_per_stratum == tuple(counts.sum(axis=1).tolist())
    assert found.manifest.calibration.images_per_class == tuple(counts.sum(axis=0).tolist())
    np.testing.assert_array_equal(found.parts.calibration.counts(10), counts)


@pytest.mark.parametrize(("strata", "told"), [(1, []), (5, ["thresholds are set in 2 strata of difficulty, not 5"])])
def test_the_user_may_say_how_many_strata_and_is_told_where_images_are_too_few(
    inputs: CalibrationInputs, tmp_path: Path, strata: int, told: list[str]
) -> None:
    options, seen = replace(quick_options(), strata=strata), Recorder()
    manifest = calibrate(inputs, options, tmp_path / "bundle", progress=seen).manifest
    assert len(manifest.calibration.images_per_stratum) == min(strata, 2)
    assert [warning.split(":")[0] for warning in manifest.calibration.warnings] == told
    assert [note.split(":")[1].strip() for note in seen.notes if note.startswith("warning")] == told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_false_alarms_on_new_images_are_as_many_as_promised(
    runs: dict[str, Run], digits: EmbeddedDefault, kind: str, rate: float
) -> None:
    p_values = runs[kind].detector.score(digits.test.pixels).p_values
    flagged = int((p_values <= rate).sum())
    # Given the calibration, the rate itself is drawn from a beta distribution.
    rank = rate * (CALIBRATING + 1)
    allowed = betabinom(len(p_values), rank, CALIBRATING + 1 - rank)
    assert allowed.cdf(flagged) > 1e-3
    assert allowed.sf(flagged - 1) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_attacked_images_score_higher(runs: dict[str, Run], digits: EmbeddedDefault, kind: str) -> None:
    detector = runs[kind].detector
    images = to_canonical(digits.test.pixels, (1, 8, 8))
    labels = digits.test.labels
    assert labels is not None
    found = detector.score_canonical(run_attack(pgd(16), AttackTarget(digits_torch(digits), images, labels), seed=5))
    moved = found.predicted != labels
    assert moved.sum() > 30
    assert auroc(detector.score_canonical(images).scores, found.scores[moved]) > 0.8
    flagged = np.array([verdict is not Verdict.BENIGN for verdict in found.verdicts])
    assert flagged[moved].mean() > 2 * 0.05


def test_the_manifest_says_what_was_done(runs: dict[str, Run], inputs: CalibrationInputs) -> None:
    manifest = runs["supervised"].result.manifest
    classifier, provenance = inputs.loaded, manifest.provenance
    assert manifest.calibration.scorer == "supervised"
    assert manifest.calibration.images == CALIBRATING
    assert manifest.calibration.accuracy is not None
    assert 0.9 < manifest.calibration.accuracy <= 1
    assert set(manifest.calibration.detection) <= set(_attacks(runs["supervised"]))
    assert len(manifest.calibration.detection) >= 2
    assert min(manifest.calibration.detection.values()) > 0.5
    assert provenance["classifier"]["source_sha256"] == classifier.source_digest
    assert inputs.gradients is not None
    assert provenance["gradients"] == inputs.gradients.description
    assert provenance["images"] == {"sha256": inputs.images.digest, "count": 900, "skipped": 0}
    assert provenance["options"]["seed"] == 0
    assert provenance["options"]["attack_images"] == 40
    assert provenance["options"]["attacks"] == [model.name for model in SUPERVISED.attacks]
    assert provenance["prototypes"]["method"] == "synthesised"
    assert provenance["prototypes"]["largest_loss"] < 0.1
    assert provenance["tools"] == tool_versions()


def _attacks(run: Run) -> list[str]:
    return [title.removeprefix("Attacking: ") for title in run.told.stages if title.startswith("Attacking")]


def test_the_classifier_in_the_bundle_is_the_one_that_was_given(
    runs: dict[str, Run], inputs: CalibrationInputs
) -> None:
    stored = (runs["one-class"].result.path / "classifier.onnx").read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(inputs.loaded.model or b"").digest()


def test_without_gradients_real_images_stand_in(runs: dict[str, Run], inputs: CalibrationInputs) -> None:
    run = runs["medoids"]
    assert run.result.manifest.calibration.scorer == "one-class"
    assert run.result.manifest.calibration.detection == {}
    assert run.result.manifest.provenance["gradients"] is None
    assert run.result.manifest.provenance["prototypes"]["method"] == "medoids"
    assert any("no gradients, so real images (class medoids) stand in" in note for note in run.told.notes)
    assert any("fitting the one-class scorer: no gradients" in note for note in run.told.notes)
    given = {image.tobytes() for image in to_canonical(inputs.images.pixels, (1, 8, 8))}
    medoids = run.detector.bundle.parts.prototypes.images.reshape(-1, 1, 8, 8)
    assert {image.tobytes() for image in medoids} <= given


def test_without_labels_the_accuracy_is_unknown(runs: dict[str, Run]) -> None:
    run = runs["unlabelled"]
    assert run.result.manifest.calibration.accuracy is None
    assert "unknown (no labels)" in (run.result.path / "report.html").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_tells_as_many_steps_as_it_announced(runs: dict[str, Run], kind: str) -> None:
    told = runs[kind].told
    assert told.stages[0] == "Classifying images"
    assert set(told.steps) == set(told.stages)
    assert all(announced == done for announced, done in told.steps.values())


@pytest.mark.parametrize("kind", ["one-class", "supervised"])
def test_the_same_seed_makes_the_same_bundle(
    runs: dict[str, Run], inputs: CalibrationInputs, tmp_path: Path, kind: str
) -> None:
    assert _run(inputs, tmp_path, kind).result.digest == runs[kind].result.digest


def test_another_seed_makes_another_bundle(runs: dict[str, Run], inputs: CalibrationInputs, tmp_path: Path) -> None:
    result = calibrate(inputs, quick_options(seed=1), tmp_path / "other", progress=Recorder())
    assert result.digest != runs["one-class"].result.digest
    found = Detector.load(result.path).bundle.parts
    before = runs["one-class"].detector.bundle.parts
    assert (found.prototypes.images != before.prototypes.images).any()
    assert not np.array_equal(found.calibration.scores, before.calibration.scores)


def test_a_class_mean_can_be_the_start(inputs: CalibrationInputs, tmp_path: Path) -> None:
    options = quick_options()
    options = replace(options, prototypes=replace(options.prototypes, start=PrototypeStart.CLASS_MEAN, steps=1))
    result = calibrate(inputs, options, tmp_path / "means", progress=Recorder())
    prototypes = Detector.load(result.path).bundle.parts.prototypes.images
    images, labels = to_canonical(inputs.images.pixels, (1, 8, 8)), inputs.images.labels
    assert labels is not None
    means = np.stack([images[labels == label].mean(axis=0) for label in range(10)])
    distances = np.linalg.norm((prototypes[:, None, 0] - means[None]).reshape(10, 10, -1), axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(10))
