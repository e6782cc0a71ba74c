from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import brentq

from detector.calibration.measuring import Measurements
from detector.calibration.tuning.thresholds import CrossFitted, decide_prior_strength
from tests.support.calibrating import Recorder, quick_options

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs

POOLED = 10_000.0


@pytest.fixture(scope="module")
def measured(untapped: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> Measurements:
    # Pooling across classes is looked at alone: all images, easy and hard, are one stratum.
    return Measurements(untapped, replace(quick_options(), strata=1), tmp_path_factory.mktemp("measured"), Recorder())


def _scored(measured: Measurements, scales: np.ndarray) -> CrossFitted:
    """Scores of many images as their classes have them, drawn."""
    generator = np.random.default_rng(0)
    images = np.repeat(measured.split.fit, 20)
    classes = measured.predicted[images]
    scores = (generator.exponential(size=len(images)) * scales[classes]).astype(np.float32)
    return CrossFitted(scores, images, generator.integers(0, 2, len(images)), {}, {})


def test_classes_that_differ_are_not_pooled(measured: Measurements) -> None:
    scales = np.linspace(1, 5, 10)
    scored = _scored(measured, scales)
    decision, strength = decide_prior_strength(measured, scored, (30.0, POOLED))
    by_strength = {one.name: one.quality.value for one in decision.candidates}
    pooled = next(value for name, value in by_strength.items() if "10000" in name)
    assert strength == 30.0
    threshold = brentq(lambda score: np.exp(-score / scales).mean() - 0.05, 0, 100)
    assert pooled == pytest.approx(1 - np.abs(np.exp(-threshold / scales) - 0.05).max(), abs=0.02)
    assert pooled < min(value for name, value in by_strength.items() if "10000" not in name)


def test_of_classes_that_are_alike_the_default_stays_unless_pooling_is_better(measured: Measurements) -> None:
    decision, strength = decide_prior_strength(measured, _scored(measured, np.ones(10)), (30.0, POOLED))
    assert strength in {100.0, POOLED}
    values = [one.quality.value for one in decision.candidates]
    assert values == sorted(values)  # the more is pooled, the less is left to chance


def test_a_class_that_could_not_be_judged_adversarial_bars(measured: Measurements) -> None:
    # 54 calibration images a class: without a pool, no p-value of theirs is below 1 / 55.
    decision, _ = decide_prior_strength(measured, _scored(measured, np.ones(10)), (0.0,))
    alone, mixed = decision.candidates
    assert alone.barred.startswith("a class's p-values would end at 0.0")
    assert mixed.barred == ""
    assert decision.chosen == mixed.name
