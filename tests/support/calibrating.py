"""Calibrations that take a second, and someone who watches them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.attacks.threat_models import cw, fgsm, pgd, pgd_l2
from detector.calibration.inputs import load_inputs
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.tuning.options import Knob, TuningOptions
from detector.classifiers.options import SpecOptions
from detector.prototypes.options import SynthesisOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault
    from detector.progress import Advance

ALPHAS_ALONE = TuningOptions(
    kept=(Knob.PROTOTYPES, Knob.RUNNER_UPS, Knob.SMOOTHNESS),
    points=(1,),
    prior_strengths=(100.0,),
    benign_images=60,
    attacked_images=20,
    undecided_images=0,
)
"""Tuning that chooses alphas and little else, on few images."""


class Recorder:
    """A `Progress` that writes down what it is told.

    Args:
        interrupt_at: Start of a stage's title; when such a stage is about to begin, the user presses Ctrl-C.

    Attributes:
        stages: Titles of the stages that were started, in order.
        steps: Per finished stage: how many steps were announced, and how many were told.
        notes: Everything noted.
    """

    def __init__(self, interrupt_at: str | None = None) -> None:
        self._interrupt_at = interrupt_at
        self.stages: list[str] = []
        self.steps: dict[str, tuple[int, int]] = {}
        self.notes: list[str] = []

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Note a stage."""
        if self._interrupt_at is not None and title.startswith(self._interrupt_at):
            raise KeyboardInterrupt
        self.stages.append(title)
        told: list[int] = []
        yield told.append
        self.steps[title] = (total, sum(told))

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)


def digits_inputs(digits: EmbeddedDefault, *, progress: Recorder | None = None, taps: bool = True) -> CalibrationInputs:
    """The embedded classifier, its gradients and its images, as a command would load them."""
    return load_inputs(
        digits.classifier_file,
        digits.images_file,
        spec=SpecOptions(),
        gradients=digits.gradients_file,
        progress=progress or Recorder(),
        taps=taps,
        threads=1,  # so small a network is faster so, above all on a busy machine
    )


def unlabelled(inputs: CalibrationInputs) -> CalibrationInputs:
    """The same without labels."""
    return replace(inputs, images=replace(inputs.images, labels=None))


def quick_options(scorer: ScorerChoice = ScorerChoice.ONE_CLASS, *, seed: int = 0) -> CalibrationOptions:
    """Options for a calibration of seconds, with attacks that take less than one each."""
    return CalibrationOptions(
        scorer=scorer,
        prototypes=SynthesisOptions(steps=60, seed=seed),
        attacks=(fgsm(8), pgd(2), pgd(8), pgd_l2(0.5), cw(0.5)),
        attack_images=40,
        points=2,
        seed=seed,
    )
