"""What becomes of the digits bundle under retrained classifiers, with all that serves and all that is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector, read_bundle
from detector.bundle.contents import REPORT
from detector.calibration.split import split_images
from detector.errors import CalibrationError
from detector.transfer.connection import ALIGNED, NAIVE
from detector.transfer.decision import Choice
from detector.transfer.evidence import Subject
from detector.transfer.pipeline import FIGURES
from detector.verdicts import Verdict
from tests.support import variants
from tests.support.retraining import transfer_inputs, transferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.pipeline import TransferResult

    Results = Callable[[str], TransferResult]

CARRIED_OVER = ("same", "disguised", "fine-tuned", "trained further")


def _figure(result: TransferResult, subject: Subject, detail: str = "") -> float:
    finding = result.evidence.get(subject, detail)
    assert finding is not None
    assert finding.figure is not None, finding.sentence
    return finding.figure


def test_the_same_classifier_keeps_everything(result_of: Results) -> None:
    found = result_of("same")
    assert found.decision.choice is Choice.KEEP
    assert _figure(found, Subject.AGREEMENT) == 1
    assert _figure(found, Subject.PROTOTYPES) == 1
    assert _figure(found, Subject.CANARIES) < 1e-4
    assert _figure(found, Subject.BARRIER, ALIGNED) == pytest.approx(0, abs=1e-9)
    assert _figure(found, Subject.BARRIER, NAIVE) == pytest.approx(0, abs=1e-9)
    assert _figure(found, Subject.DETECTION, "drop") == pytest.approx(0, abs=0.01)


def test_units_in_another_order_are_the_same_function_and_the_barrier_says_so_once_aligned(result_of: Results) -> None:
    found = result_of("disguised")
    assert found.decision.choice is Choice.KEEP
    assert _figure(found, Subject.CANARIES) < 1e-3
    assert _figure(found, Subject.BARRIER, ALIGNED) == pytest.approx(0, abs=1e-6)
    assert _figure(found, Subject.BARRIER, NAIVE) > 0.1


def test_a_gently_tuned_classifier_keeps_everything(result_of: Results) -> None:
    found = result_of("fine-tuned")
    assert found.decision.choice is Choice.KEEP
    assert 0.98 < _figure(found, Subject.AGREEMENT) <= 1
    assert _figure(found, Subject.CANARIES) > 0
    assert _figure(found, Subject.PROTOTYPES) >= 0.95


def test_a_classifier_that_was_trained_further_gets_new_thresholds_from_images_that_do_not_check_them(
    result_of: Results, inputs_for: Callable[[str], TransferInputs]
) -> None:
    found, inputs = result_of("trained further"), inputs_for("trained further")
    assert found.decision.choice is Choice.RE_THRESHOLD
    assert set(found.decision.against) == {Choice.KEEP}
    rate = found.evidence.get(Subject.RATE, Verdict.SUSPECT.value)
    anew = found.evidence.get(Subject.NEW_RATE, Verdict.SUSPECT.value)
    assert rate is not None
    assert anew is not None
    assert rate.low is not None
    assert anew.low is not None
    assert anew.high is not None
    assert rate.low > 0.05, "at the old thresholds far more benign images are flagged than promised"
    assert anew.low <= 0.05 <= anew.high
    assert found.bundle is not None
    detector = Detector.load(found.bundle)
    calibration = detector.bundle.parts.calibration
    split = split_images(inputs.sample.labels, 0.5, 0) if inputs.sample.labels is not None else None
    assert split is not None
    scored = detector.score(inputs.sample.pixels)
    np.testing.assert_allclose(calibration.scores, scored.scores[split.calibration], rtol=1e-3)
    np.testing.assert_array_equal(calibration.classes, scored.predicted[split.calibration])
    flagged = scored.p_values[split.fit] <= detector.bundle.manifest.rates.suspect
    assert flagged.mean() == anew.figure
    assert detector.bundle.manifest.calibration.images == len(split.calibration)
    seen = {image.tobytes() for image in inputs.canonical()[split.calibration]}
    canaries = detector.bundle.canaries
    assert sum(image.tobytes() in seen for image in canaries.images) >= len(canaries) / 2


def test_images_that_set_thresholds_are_known_to_the_bundle_they_set_them_for(
    result_of: Results, digits: EmbeddedDefault, retrained: Callable[[str], Path], sample: Path
) -> None:
    bundle = result_of("trained further").bundle
    assert bundle is not None
    with pytest.raises(CalibrationError, match="is one of the bundle's canaries"):
        transfer_inputs(digits, bundle, retrained("trained further"), sample)


def test_a_straight_line_to_a_network_that_blinds_the_scorer_carries_nothing_over(result_of: Results) -> None:
    found = result_of("blinding")
    assert found.decision.choice is Choice.RECALIBRATE
    assert _figure(found, Subject.PROTOTYPES) == 1
    assert _figure(found, Subject.BARRIER, ALIGNED) == pytest.approx(0, abs=1e-9)
    assert _figure(found, Subject.DETECTION, "drop") > 0.2
    (reason,) = found.decision.against[Choice.RE_THRESHOLD]
    assert reason.startswith("lost detection would have to be at most 0.03 between the intervals")


@pytest.mark.parametrize("name", ["another seed", "broken", "another architecture"])
def test_nothing_is_carried_over_to_quite_another_classifier(result_of: Results, name: str) -> None:
    found = result_of(name)
    assert found.decision.choice is Choice.RECALIBRATE
    assert found.bundle is None
    assert found.command.startswith("isthmus calibrate --classifier retrained.pt2 --images sample.npz --out ")
    assert set(found.decision.against) == {Choice.KEEP, Choice.RE_THRESHOLD}
    assert all(found.decision.against.values())


def test_networks_of_other_layers_are_not_compared_by_weights_and_it_says_why(result_of: Results) -> None:
    (finding,) = result_of("another architecture").evidence.of(Subject.BARRIER)
    assert finding.figure is None
    assert finding.holds is None
    assert "different architectures" in finding.sentence


def test_a_classifier_that_takes_raw_pixels_by_now_is_given_them(
    digits: EmbeddedDefault, digits_bundle: Path, sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "raw.onnx").write_bytes(variants.uint8(digits.classifier_file.read_bytes()))
    found = transfer_inputs(digits, digits_bundle, tmp_path / "raw.onnx", sample)
    assert found.classifier.spec.value_range == (0.0, 255.0)
    np.testing.assert_allclose(
        found.classifier.logits(found.canonical()[:20]),
        found.old.classifier.logits(found.canonical()[:20]),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("name", CARRIED_OVER)
def test_the_new_bundle_serves_the_new_classifier_and_says_where_it_came_from(
    result_of: Results, inputs_for: Callable[[str], TransferInputs], digits_bundle: Path, name: str
) -> None:
    found, inputs = result_of(name), inputs_for(name)
    assert found.bundle is not None
    detector = Detector.load(found.bundle)
    images = inputs.sample.pixels[:40]
    answers = detector.score(images)
    np.testing.assert_allclose(answers.logits, inputs.classifier.logits(inputs.canonical()[:40]), atol=1e-4)
    assert np.isfinite(answers.scores).all()
    record = detector.bundle.manifest.provenance["transfer"]
    assert record["from"] == read_bundle(digits_bundle).digest
    assert record["decision"]["choice"] == found.decision.choice.value
    assert detector.bundle.digest == found.digest
    assert (detector.bundle.manifest.calibration.accuracy or 0) == _figure(found, Subject.ACCURACY, "new")


def test_kept_thresholds_are_the_old_ones_and_canaries_are_made_anew(result_of: Results, digits_bundle: Path) -> None:
    bundle, old = result_of("disguised").bundle, read_bundle(digits_bundle)
    assert bundle is not None
    new = read_bundle(bundle)
    np.testing.assert_array_equal(new.parts.calibration.scores, old.parts.calibration.scores)
    np.testing.assert_array_equal(new.canaries.images, old.canaries.images)
    assert not np.array_equal(new.canaries.logits, old.canaries.logits)  # another order of sums
    np.testing.assert_allclose(new.canaries.logits, old.canaries.logits, atol=1e-3)
    np.testing.assert_array_equal(new.parts.prototypes.images, old.parts.prototypes.images)


@pytest.mark.parametrize("name", ["fine-tuned", "broken"])
def test_figures_are_written_for_programs_and_people(result_of: Results, name: str) -> None:
    found = result_of(name)
    told = json.loads((found.report / FIGURES).read_text())
    assert told["decision"]["choice"] == found.decision.choice.value
    assert len(told["evidence"]) == len(found.evidence.findings)
    assert all(finding["sentence"] for finding in told["evidence"])
    assert (told["bundle"] is None) == (found.bundle is None)
    page = (found.report / REPORT).read_text()
    assert page.count("<svg") == 2
    for finding in found.evidence:
        assert finding.name in page
    for verdict in (Verdict.SUSPECT, Verdict.ADVERSARIAL):
        assert f"{verdict.value}: new, old thresholds" in page


def test_too_few_images_for_a_rate_are_said_to_be_so(result_of: Results) -> None:
    finding = result_of("same").evidence.get(Subject.RATE, Verdict.ADVERSARIAL.value)
    assert finding is not None
    assert finding.holds is None
    assert "at least 800 are needed" in finding.sentence


def test_nothing_is_left_beside_what_was_made(result_of: Results) -> None:
    folder = result_of("same").report.parent
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_recalibration_that_is_asked_for_is_done(
    inputs_for: Callable[[str], TransferInputs], digits: EmbeddedDefault, tmp_path: Path
) -> None:
    found = transferred(inputs_for("another seed"), tmp_path / "anew", recalibrate=True)
    assert found.decision.choice is Choice.RECALIBRATE
    assert found.bundle is not None
    detector = Detector.load(found.bundle)
    assert "transfer" not in detector.bundle.manifest.provenance
    assert len(detector.score(digits.test.pixels[:5])) == 5
