"""Calibration with hidden paths: what their statistics are taken from, and when they are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector, read_bundle
from detector.calibration.anchors import ListedImages
from detector.calibration.measuring import Measurements
from detector.calibration.pipeline import calibrate
from detector.errors import CalibrationError
from detector.scoring.hidden_paths import hidden_path_names
from detector.scoring.runner import OnnxScorer
from detector.scoring.tap_statistics import tap_statistics
from tests.support.calibrating import ALPHAS_ALONE, Recorder, digits_inputs, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault
    from detector.scoring.tap_statistics import TapStatistics

OPTIONS = replace(quick_options(), hidden_paths=True)


def _assert_same(one: TapStatistics, other: TapStatistics) -> None:
    assert one.sizes == other.sizes
    for name in ("mean", "inverse_scale", "centres"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-5)


def test_statistics_are_of_the_images_that_fit_the_scorer_but_for_those_listed(
    inputs: CalibrationInputs, tmp_path: Path
) -> None:
    some = inputs.images.image_digests[:300]
    listed = ListedImages(frozenset(some), (1, 8, 8), "listed.json", "0" * 64)
    measured = Measurements(replace(inputs, listed=listed), OPTIONS, tmp_path, Recorder())
    rows = np.setdiff1d(measured.split.fit, np.arange(300))
    answers = inputs.loaded.classifier.answers(measured.images_at(rows))
    sizes = [2 * len(tap.read) for tap in inputs.loaded.taps]
    assert measured.statistics is not None
    _assert_same(
        measured.statistics,
        tap_statistics(answers.taps, answers.logits.argmax(axis=1), classes=10, sizes=sizes),
    )


def test_the_bundle_has_them_and_tuning_chooses_by_all_other_evidence(
    inputs: CalibrationInputs, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    result = calibrate(inputs, replace(OPTIONS, tuning=ALPHAS_ALONE), tmp_path / "bundle", progress=Recorder())
    bundle = read_bundle(result.path)
    assert bundle.parts.statistics is not None
    assert bundle.manifest.provenance["options"]["hidden_paths"]
    hidden = hidden_path_names(bundle.manifest.plan, len(bundle.parts.statistics.sizes))
    detector = Detector(bundle, threads=1)
    features = 6 * bundle.manifest.plan.forwards_per_image
    features += detector.classifier.tap_count * len(bundle.manifest.plan.tapped_points) + len(hidden)
    assert OnnxScorer(bundle.parts.scorer).features == features
    assert np.isfinite(detector.score(digits.test.pixels[:20]).scores).all()


def test_without_taps_they_are_refused_before_any_work(digits: EmbeddedDefault, tmp_path: Path) -> None:
    told = Recorder()
    with pytest.raises(CalibrationError, match="--hidden-paths reads the classifier's taps, and there are none"):
        calibrate(digits_inputs(digits, taps=False), OPTIONS, tmp_path / "bundle", progress=told)
    assert told.stages == []
    assert not (tmp_path / "bundle").exists()
