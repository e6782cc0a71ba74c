from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import read_bundle
from detector.evaluation.benchmark import evaluate
from detector.evaluation.channels import IMAGE_ALONE, IMAGE_AND_VIEW, WITHOUT_PROTOTYPES
from detector.evaluation.report import headlines, render_report
from detector.evaluation.tally import all_attacks_detected, robust_accuracy, robust_within
from tests.evaluation.conftest import SMALL
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from tests.evaluation.conftest import Done


def test_fitting_calibrating_and_testing_images_are_disjoint(evaluated: Done) -> None:
    material = evaluated.material()
    everything = [image.tobytes() for image in evaluated.inputs.images.pixels]
    given = {image.tobytes() for image in material.given.images.pixels}
    split = material.measured.split
    tested = {(image[0] * 255).round().astype(np.uint8).tobytes() for image in material.benign.images}
    assert len(given) + len(tested) == len(set(everything)) == len(everything)
    assert not given & tested
    assert not set(split.fit.tolist()) & set(split.calibration.tolist())
    assert len(split.fit) + len(split.calibration) == len(given)


def test_only_successes_on_correctly_classified_images_count(evaluated: Done) -> None:
    material = evaluated.material()
    classifier = material.detector.classifier
    for attack in material.attacked.values():
        truth = material.labels[material.targets[attack.rows]]
        before = classifier.logits(material.benign.images[material.targets[attack.rows]]).argmax(axis=1)
        assert (before == truth).all()
        assert (classifier.logits(attack.scored.images).argmax(axis=1) != truth).all()
        levels = attack.scored.images * 255
        assert np.abs(levels - levels.round()).max() < 1e-4


def test_every_attack_that_moved_an_image_has_a_row_with_its_kin_left_out(evaluated: Done) -> None:
    rows = {row.name: row for row in evaluated.results.attacks}
    assert set(rows) == {name for name, attack in evaluated.material().attacked.items() if len(attack.rows) > 1}
    assert "PGD-Linf-60/255" in rows
    for row in rows.values():
        assert row.left_out is not None
        assert row.successful <= row.attacked <= SMALL.attack_images
        assert row.included.auroc.low <= row.included.auroc.value <= row.included.auroc.high
    patched = rows["Patch-L0-6.25%"]
    assert patched.left_out == patched.included  # none of its kin is in training, so leaving it out changes nothing
    assert rows["PGD-Linf-60/255"].left_out != rows["PGD-Linf-60/255"].included


def test_the_whole_guard_is_the_last_channel_but_for_parts_that_cost_less(evaluated: Done) -> None:
    results = evaluated.results
    *_, whole, without, view, image = results.channels
    assert [part.name for part in (without, view, image)] == [WITHOUT_PROTOTYPES, IMAGE_AND_VIEW, IMAGE_ALONE]
    assert [view.forwards_per_image, image.forwards_per_image] == [2, 1]
    assert without.forwards_per_image < whole.forwards_per_image
    assert whole.forwards_per_image == results.forwards_per_image == 11
    assert {row.name: row.included for row in results.attacks} == whole.attacks
    flagged = sum(p <= results.suspect_rate for p in results.benign_p_values)
    assert whole.false_positives.flagged == flagged


def test_counts_over_all_attacks_agree_with_a_plain_loop(evaluated: Done) -> None:
    material = evaluated.material()
    suspect = material.detector.bundle.manifest.rates.suspect
    moved, spared, robust = 0, 0, 0
    for place, row in enumerate(material.targets):
        found = [
            a.scored.detection.p_values[a.rows.tolist().index(place)]
            for a in material.attacked.values()
            if place in a.rows
        ]
        moved += bool(found)
        spared += bool(found) and all(p <= suspect for p in found)
        robust += material.benign.detection.p_values[row] > suspect and all(p <= suspect for p in found)
    detected = all_attacks_detected(material)
    assert detected is not None
    assert (detected.flagged, detected.total) == (spared, moved)
    assert robust_accuracy(material).flagged == robust


def test_a_larger_radius_leaves_no_more_images_out_of_reach(evaluated: Done) -> None:
    material = evaluated.material()
    shares = [robust_within(material, radius) for radius in (0.0, 30 / 255, 60 / 255)]
    assert shares == sorted(shares, reverse=True)
    accepted = material.benign.detection.p_values > material.detector.bundle.manifest.rates.suspect
    assert shares[0] == pytest.approx((material.right & accepted).mean())


def test_a_second_run_finds_everything_and_says_the_same(evaluated: Done) -> None:
    again = Recorder()
    results = evaluate(evaluated.inputs, SMALL, evaluated.folder, again)
    assert not [stage for stage in again.stages if stage.startswith(("Attacking", "Walking", "Control", "joint"))]
    assert replace(results, milliseconds_per_image=0, channels=(), examples=()) == replace(
        evaluated.results, milliseconds_per_image=0, channels=(), examples=()
    )


def test_an_attacker_with_the_largest_budget_fools_the_classifier(evaluated: Done) -> None:
    curves = {len(curve.points): curve for curve in evaluated.results.adaptive}
    strongest = curves[max(curves)]
    assert strongest.points[-1].budget == 1
    assert strongest.points[-1].fooled == 1
    for curve in evaluated.results.adaptive:
        assert all(point.sr50 <= point.sr5 <= point.fooled for point in curve.points)


def test_the_bundle_is_left_behind_and_serves(evaluated: Done) -> None:
    bundle = read_bundle(evaluated.folder / "bundle")
    assert bundle.manifest.calibration.scorer == "supervised"


def test_the_report_and_the_lines_say_what_was_found(evaluated: Done) -> None:
    page = render_report(evaluated.results)
    assert "PGD-Linf-60/255" in page
    lines = headlines(evaluated.results)
    assert any(line.startswith("included") for line in lines)
    assert json.loads(evaluated.results.to_json())["forwards_per_image"] == 11


def test_every_self_check_says_what_it_found(evaluated: Done) -> None:
    checks = {check.name: check for check in evaluated.results.checks}
    for name in ("gradients", "no randomness", "the scorer that serves is the one evaluated"):
        assert checks[name].passed, checks[name].finding
