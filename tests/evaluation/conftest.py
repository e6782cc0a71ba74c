"""One small evaluation of the embedded digits classifier, shared by all who look at a part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from detector.attacks.threat_models import fgsm, fmn, patch, pgd, square
from detector.calibration.options import ScorerChoice
from detector.evaluation.benchmark import evaluate
from detector.evaluation.material import Material
from detector.evaluation.options import EvaluationOptions
from tests.support.calibrating import Recorder, digits_inputs, quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault
    from detector.evaluation.results import EvaluationResults

SMALL = EvaluationOptions(
    calibration=replace(
        quick_options(ScorerChoice.SUPERVISED), attacks=(fgsm(40), pgd(40, steps=8), fmn(steps=20)), attack_images=50
    ),
    models=(fgsm(30), pgd(30, steps=8), pgd(60, steps=8), fmn(steps=20), square(60, queries=40), patch(steps=10)),
    attack_images=40,
    work_per_attack=3600,
    control_images=30,
    peers=False,
    adaptive_images=4,
    adaptive_steps=2,
    adaptive_queries=10,
    adaptive_budgets=(8.0, 255.0),
    hardening_images=0,
)
"""Digits need larger budgets than photographs."""


@dataclass(frozen=True)
class Done:
    """An evaluation and what it left behind.

    Args:
        inputs: What was evaluated.
        folder: Where.
        results: What was found.
        seen: What was told on the way.
    """

    inputs: CalibrationInputs
    folder: Path
    results: EvaluationResults
    seen: Recorder

    def material(self) -> Material:
        """Its images and answers, found again."""
        return Material(self.inputs, SMALL, self.folder / ".work", Recorder())


@pytest.fixture(scope="session")
def evaluated(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Done:
    seen = Recorder()
    inputs = digits_inputs(digits, progress=seen)
    folder = tmp_path_factory.mktemp("evaluation")
    return Done(inputs, folder, evaluate(inputs, SMALL, folder, seen), seen)
