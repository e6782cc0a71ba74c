"""An interrupted calibration leaves nothing half-written, and goes on from its finished stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector import Detector
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from tests.support.calibrating import Recorder, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

OPTIONS = quick_options(ScorerChoice.SUPERVISED)


@pytest.fixture(scope="module")
def whole(inputs: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Digest and stages of a calibration that nobody interrupts."""
    told = Recorder()
    result = calibrate(inputs, OPTIONS, tmp_path_factory.mktemp("whole") / "bundle", progress=told)
    return result.digest, told.stages


def _interrupted(inputs: CalibrationInputs, out: Path, title: str) -> Recorder:
    told = Recorder(interrupt_at=title)
    with pytest.raises(KeyboardInterrupt):
        calibrate(inputs, OPTIONS, out, progress=told)
    return told


@pytest.mark.parametrize(
    "title",
    ["Synthesising", "Walking paths of FGSM", "Attacking: CW"],
)
def test_only_what_was_not_finished_is_done_again(
    inputs: CalibrationInputs, whole: tuple[str, list[str]], tmp_path: Path, title: str
) -> None:
    digest, stages = whole
    out = tmp_path / "bundle"
    before = _interrupted(inputs, out, title)
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] in ([], [".bundle.work"])
    told = Recorder()
    result = calibrate(inputs, OPTIONS, out, progress=told)
    assert result.digest == digest
    rest = [stage for stage in stages if stage not in before.stages or stage == "Classifying images"]
    assert told.stages == rest
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert Detector.load(out).bundle.digest == digest


def test_other_options_take_nothing_from_an_interrupted_run(inputs: CalibrationInputs, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    _interrupted(inputs, out, "Attacking: CW")
    told = Recorder()
    calibrate(inputs, quick_options(seed=1), out, progress=told)
    assert told.stages == [
        "Classifying images",
        "Synthesising prototypes",
        "Walking paths of benign images",
        "Choosing canaries",
    ]


def test_another_plan_takes_over_the_attacks(inputs: CalibrationInputs, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    before = _interrupted(inputs, out, "Walking paths of CW")
    attacks = [stage for stage in before.stages if stage.startswith("Attacking")]
    told = Recorder()
    calibrate(inputs, replace(OPTIONS, residuals=True), out, progress=told)
    assert attacks
    assert not [stage for stage in told.stages if stage.startswith("Attacking")]
    assert "Walking paths of benign images" in told.stages


def test_interrupted_while_replacing_the_old_bundle_stays(inputs: CalibrationInputs, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    old = calibrate(inputs, quick_options(), out, progress=Recorder())
    told = Recorder(interrupt_at="Walking paths")
    with pytest.raises(KeyboardInterrupt):
        calibrate(inputs, quick_options(seed=1), out, progress=told, overwrite=True)
    assert Detector.load(out).bundle.digest == old.digest
    new = calibrate(inputs, quick_options(seed=1), out, progress=Recorder(), overwrite=True)
    assert Detector.load(out).bundle.digest == new.digest != old.digest
