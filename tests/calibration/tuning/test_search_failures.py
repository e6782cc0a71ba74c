from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.tuning.options import Knob
from detector.classifiers.base import Answers
from detector.errors import CalibrationError
from detector.images import to_canonical
from tests.calibration.tuning.conftest import SMALL, tuned_options
from tests.support.calibrating import Recorder, unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Classifier, Float32Array


def test_a_budget_that_nothing_fits_is_refused_before_any_work(untapped: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    options = tuned_options(tuning=replace(SMALL, budget=4))
    # One point on the path to a prototype and on the blur's, the image and two views.
    with pytest.raises(CalibrationError, match="--tune-budget 4: the cheapest guard that may be chosen costs 5"):
        calibrate(untapped, options, tmp_path / "bundle", progress=told)
    assert told.stages == []
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_are_refused_before_any_work(untapped: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    few = replace(untapped, images=untapped.images.take(np.arange(100)))
    with pytest.raises(CalibrationError, match="at least 165 images"):
        calibrate(few, tuned_options(), tmp_path / "bundle", progress=told)
    assert told.stages == []


class _Constant:
    """A classifier that gives every image the same answer."""

    def __init__(self, like: Classifier) -> None:
        self.spec, self.labels, self.output_kind = like.spec, like.labels, like.output_kind
        self.description, self.tap_count = "constant", 0

    def answers(self, images: Float32Array) -> Answers:
        return Answers(self.logits(images), np.empty((len(images), 0), np.float32))

    def logits(self, images: Float32Array) -> Float32Array:
        return np.tile(np.arange(len(self.labels), dtype=np.float32), (len(images), 1))


@pytest.mark.parametrize("labelled", [True, False])
def test_where_nothing_crosses_the_border_nothing_can_be_chosen(
    untapped: CalibrationInputs, tmp_path: Path, *, labelled: bool
) -> None:
    constant: Any = _Constant(untapped.loaded.classifier)
    given = replace(untapped, loaded=replace(untapped.loaded, classifier=constant))
    with pytest.raises(CalibrationError, match="no attack moved any image"):
        calibrate(given if labelled else unlabelled(given), tuned_options(), tmp_path / "bundle", progress=Recorder())
    assert not (tmp_path / "bundle").exists()


def test_a_class_with_fewer_images_than_prototypes_takes_fewer(untapped: CalibrationInputs, tmp_path: Path) -> None:
    predicted = untapped.loaded.classifier.logits(to_canonical(untapped.images.pixels, (1, 8, 8))).argmax(axis=1)
    rare = np.flatnonzero(predicted == 7)[5:]  # 5 are left, 2 or so of which fit the scorer
    few = replace(untapped, gradients=None, images=untapped.images.take(np.setdiff1d(np.arange(len(predicted)), rare)))
    tuning = replace(SMALL, prototypes=(1, 2, 4), points=(1,), kept=(Knob.POINTS,))
    found = calibrate(few, tuned_options(ScorerChoice.AUTO, tuning), tmp_path / "bundle", progress=Recorder())
    assert not [one.name for one in found.decisions[0].candidates if one.name.startswith("4")]
