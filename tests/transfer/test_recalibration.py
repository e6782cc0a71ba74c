from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from detector import TargetRates, read_bundle
from detector.bundle.contents import TAP_STATISTICS
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.cli.main import app
from detector.profiles import PathKind, PathPlan, PathTarget
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from detector.transfer.recalibration import Sources, calibrate_command, options_of

if TYPE_CHECKING:
    from detector.bundle import Manifest

SOURCES = Sources(classifier="new model.onnx", images="held-out.zip", out=Path("out"))
MADE_WITH = CalibrationOptions(
    scorer=ScorerChoice.ONE_CLASS,
    rates=TargetRates(0.1, 0.02),
    prototypes=SynthesisOptions(
        per_class=3, start=PrototypeStart.CLASS_MEAN, smoothness=4.0, jitter=2, steps=99, seed=5
    ),
    runner_up_prototypes=2,
    blur=False,
    views=False,
    residuals=True,
    points=3,
    fit_fraction=0.3,
    corrupted_copies=1,
    attack_images=77,
    hardening_images=9,
    hardening_steps=8,
    hardening_rounds=2,
    strata=4,
    seed=5,
)


@pytest.fixture
def manifest(digits_bundle: Path) -> Manifest:
    """Of a bundle that records all options it was made with."""
    plain = read_bundle(digits_bundle).manifest
    return replace(
        plain,
        plan=MADE_WITH.plan(plain.spec),
        rates=MADE_WITH.rates,
        calibration=replace(plain.calibration, scorer="one-class"),
        provenance={"options": MADE_WITH.to_json()},
    )


def _parsed(command: str) -> dict[str, Any]:
    """The parameters that `isthmus calibrate` would get."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("isthmus", "calibrate")
    group: Any = get_command(app)
    return dict(group.commands["calibrate"].make_context("calibrate", words).params)


def test_options_are_those_that_made_the_bundle(manifest: Manifest) -> None:
    assert options_of(manifest, remote=False) == MADE_WITH


def test_hidden_paths_are_read_again_where_the_bundle_reads_them(manifest: Manifest) -> None:
    reading = replace(manifest, files={**manifest.files, TAP_STATISTICS: "0" * 64})
    assert options_of(reading, remote=False) == replace(MADE_WITH, hidden_paths=True)
    assert _parsed(calibrate_command(reading, SOURCES))["hidden_paths"]
    assert not _parsed(calibrate_command(manifest, SOURCES))["hidden_paths"]


def test_what_takes_a_graph_apart_is_left_out_for_a_classifier_that_runs_elsewhere(manifest: Manifest) -> None:
    reading = replace(manifest, files={**manifest.files, TAP_STATISTICS: "0" * 64})
    assert options_of(reading, remote=True) == replace(MADE_WITH, hardening_images=0)
    given = _parsed(calibrate_command(reading, replace(SOURCES, classifier="grpc://models:8001/new/2")))
    assert (given["classifier"], given["harden"], given["hidden_paths"]) == ("grpc://models:8001/new/2", 0, False)


def test_the_command_says_them_again(manifest: Manifest) -> None:
    given = _parsed(calibrate_command(manifest, SOURCES))
    assert given["classifier"] == "new model.onnx"
    assert given["scorer"] is ScorerChoice.ONE_CLASS
    assert (given["suspect_rate"], given["adversarial_rate"]) == (0.1, 0.02)
    assert (given["prototypes"], given["runner_ups"], given["points"]) == (3, 2, 3)
    assert given["prototype_start"] is PrototypeStart.CLASS_MEAN
    assert (given["prototype_smoothness"], given["prototype_jitter"], given["prototype_steps"]) == (4.0, 2, 99)
    assert (given["blur"], given["views"], given["taps"], given["residuals"]) == (False, False, False, True)
    assert (given["fit_fraction"], given["corrupted_copies"], given["attack_images"]) == (0.3, 1, 77)
    assert (given["harden"], given["harden_steps"], given["harden_rounds"]) == (9, 8, 2)
    assert (given["strata"], given["seed"]) == (4, 5)
    assert given["tune"] is False


def test_what_the_user_named_is_named_again(manifest: Manifest) -> None:
    sources = replace(
        SOURCES, gradients="new.pt2", labels=Path("names.txt"), limit=700, others=("--value-range", "0,255")
    )
    given = _parsed(calibrate_command(manifest, sources))
    assert given["gradients"] == "new.pt2"
    assert given["labels"] == Path("names.txt")
    assert given["limit"] == 700
    assert given["value_range"] == "0,255"


def test_a_bundle_that_was_tuned_is_tuned_again(manifest: Manifest) -> None:
    tuned = replace(manifest, provenance={**manifest.provenance, "tuning": {}})
    given = _parsed(calibrate_command(tuned, SOURCES))
    assert given["tune"] is True
    usual = CalibrationOptions()
    assert (given["points"], given["prototypes"]) == (usual.points, usual.prototypes.per_class)
    assert options_of(tuned, remote=False).tuning is not None


def test_a_bundle_that_records_no_options_is_known_by_its_paths(digits_bundle: Path) -> None:
    manifest = read_bundle(digits_bundle).manifest
    found = options_of(manifest, remote=False)
    assert (found.prototypes.per_class, found.runner_up_prototypes, found.blur, found.points) == (2, 1, True, 3)
    assert found.scorer is ScorerChoice.ONE_CLASS
    tapped = replace(manifest, plan=PathPlan((PathTarget(PathKind.BLUR),), (0.5,), tapped=(0,)))
    assert _parsed(calibrate_command(tapped, SOURCES))["taps"] is True
