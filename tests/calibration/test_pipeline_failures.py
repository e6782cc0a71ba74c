from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.errors import BundleError, CalibrationError, MissingExtraError
from tests.support.calibrating import Recorder, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

SUPERVISED = quick_options(ScorerChoice.SUPERVISED)


def _relabelled(inputs: CalibrationInputs, renamed: list[int]) -> CalibrationInputs:
    labels = inputs.images.labels
    assert labels is not None
    return replace(inputs, images=replace(inputs.images, labels=np.array(renamed)[labels]))


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules
    for name in ("art", "art.attacks", "art.attacks.evasion"):
        monkeypatch.setitem(modules, name, None)


def test_too_few_images_are_refused_before_any_work(inputs: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    few = replace(inputs, images=inputs.images.take(np.arange(100)))
    with pytest.raises(CalibrationError, match="at least 165 images"):
        calibrate(few, quick_options(), tmp_path / "bundle", progress=told)
    assert told.stages == []
    assert list(tmp_path.iterdir()) == []


def test_the_number_that_is_said_to_do_does(inputs: CalibrationInputs, tmp_path: Path) -> None:
    enough = replace(inputs, images=inputs.images.take(np.arange(165)))
    result = calibrate(enough, quick_options(), tmp_path / "bundle", progress=Recorder())
    assert result.manifest.calibration.images == 99


def test_labels_of_another_order_are_refused_by_name_and_nothing_is_written(
    inputs: CalibrationInputs, tmp_path: Path
) -> None:
    told = Recorder()
    with pytest.raises(CalibrationError, match="'3' is predicted as '2'"):
        calibrate(
            _relabelled(inputs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]), quick_options(), tmp_path / "bundle", progress=told
        )
    assert told.stages == ["Classifying images"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_class_is_warned_of_and_recorded(inputs: CalibrationInputs, tmp_path: Path) -> None:
    assert inputs.images.labels is not None
    without_seven = replace(inputs, images=inputs.images.take(np.flatnonzero(inputs.images.labels != 7)))
    told = Recorder()
    result = calibrate(without_seven, quick_options(), tmp_path / "bundle", progress=told)
    (warning,) = [text for text in result.manifest.calibration.warnings if text.startswith("no image of 7;")]
    assert f"warning: {warning}" in told.notes
    assert warning in (tmp_path / "bundle" / "report.html").read_text()


def test_without_gradients_a_class_without_images_can_not_have_prototypes(
    inputs: CalibrationInputs, tmp_path: Path
) -> None:
    predicted = inputs.loaded.classifier.logits(
        (inputs.images.pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    ).argmax(axis=1)
    without = replace(inputs, gradients=None, images=inputs.images.take(np.flatnonzero(predicted != 7)))
    with pytest.raises(CalibrationError, match="class '7': only 0 images are predicted as it"):
        calibrate(without, quick_options(), tmp_path / "bundle", progress=Recorder())
    assert not (tmp_path / "bundle").exists()


def test_a_place_that_is_taken_is_refused_before_any_work(inputs: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    (tmp_path / "notes.txt").write_text("not a bundle")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        calibrate(inputs, quick_options(), tmp_path, progress=told, overwrite=True)
    first = calibrate(inputs, quick_options(), tmp_path / "bundle", progress=Recorder())
    manifest = (first.path / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="a bundle is there already; pass --overwrite"):
        calibrate(inputs, quick_options(seed=1), tmp_path / "bundle", progress=told)
    assert told.stages == []
    assert (first.path / "manifest.json").read_bytes() == manifest


def test_supervised_without_gradients_says_what_to_pass(inputs: CalibrationInputs, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="--scorer supervised needs gradients to attack with: pass --gradients"):
        calibrate(replace(inputs, gradients=None), SUPERVISED, tmp_path / "bundle", progress=Recorder())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("no_library")
def test_supervised_without_the_attack_library_says_what_to_install(inputs: CalibrationInputs, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'isthmus\[attacks\]'"):
        calibrate(inputs, SUPERVISED, tmp_path / "bundle", progress=Recorder())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("no_library")
def test_auto_without_the_attack_library_falls_back_and_says_so(inputs: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    result = calibrate(inputs, quick_options(ScorerChoice.AUTO), tmp_path / "bundle", progress=told)
    assert result.manifest.calibration.scorer == "one-class"
    assert any("isthmus[attacks] is not installed" in note for note in told.notes)
