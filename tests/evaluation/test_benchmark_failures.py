from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.errors import CalibrationError
from detector.evaluation.benchmark import evaluate
from tests.evaluation.conftest import SMALL
from tests.support.calibrating import Recorder, digits_inputs, unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def test_images_without_labels_are_refused(digits: EmbeddedDefault, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="labelled"):
        evaluate(unlabelled(digits_inputs(digits)), SMALL, tmp_path, Recorder())
    assert not list(tmp_path.iterdir())


def test_a_classifier_without_gradients_is_refused(digits: EmbeddedDefault, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="--gradients"):
        evaluate(replace(digits_inputs(digits), gradients=None), SMALL, tmp_path, Recorder())


def test_an_interrupted_evaluation_goes_on_where_it_was(digits: EmbeddedDefault, tmp_path: Path) -> None:
    inputs = digits_inputs(digits)
    small = replace(SMALL, leave_out=False, adaptive_images=0)
    with pytest.raises(KeyboardInterrupt):
        evaluate(inputs, small, tmp_path, Recorder(interrupt_at="Attacking test images: FMN"))
    again = Recorder()
    evaluate(inputs, small, tmp_path, again)
    assert "Synthesising prototypes" not in again.stages
    assert "Attacking test images: PGD-Linf-30/255" not in again.stages
    assert "Attacking test images: FMN-Linf" in again.stages
