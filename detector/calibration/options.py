"""What a calibration is told."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from detector.attacks.threat_models import CALIBRATION_ATTACKS
from detector.conformal import PRIOR_STRENGTH
from detector.errors import CalibrationError
from detector.profiles import PathKind, PathPlan, PathTarget, View
from detector.prototypes.options import SynthesisOptions
from detector.strata import MAX_STRATA, Proxy
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel
    from detector.calibration.tuning.options import TuningOptions
    from detector.classifiers.base import ImageSpec

_BLUR_REFERENCE = 32  # pixels; an image this large is blurred by one pixel
_SMALLEST_BLUR = 0.7  # pixels; less does nothing
_LEAST_ATTACKED = 40  # images, however costly the attack


class ScorerChoice(StrEnum):
    """Which scorer to fit. AUTO: supervised where attacks can be run, else one-class."""

    AUTO = "auto"
    ONE_CLASS = "one-class"
    SUPERVISED = "supervised"


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """How to calibrate.

    Args:
        scorer: Which scorer.
        rates: Target false-positive rates of the verdicts.
        prototypes: How prototypes are made.
        runner_up_prototypes: Paths to prototypes of the runner-up class; at most `prototypes.per_class`.
        blur: Whether to walk to the image's own blurred copy.
        blur_sigma: Its standard deviation, pixels; None takes sqrt(side / 32), at least 0.7.
        points: Inner grid points per path, the squares of even steps.
        alphas: The inner grid points themselves, rising, in (0, 1], in the place of `points`; None has them made.
        views: Whether to ask for other views of the image too.
        residuals: Whether to measure the image's noise residuals.
        hidden_paths: Whether to read the hidden paths of tapped layers; see `detector.scoring.hidden_paths`.
        fit_fraction: Of the images, that go to the scorer; the rest calibrate the p-values.
        corrupted_copies: How often each image that fits the scorer is also shown to it corrupted in an everyday way, as
            benign; see `detector.corruptions.everyday`. The one-class scorer needs none.
        attacks: What the supervised scorer learns from.
        attack_images: Most images attacked, by each attack.
        work_per_attack: Forwards, a backward counting as two, that an attack may spend on all its images; costly ones
            get fewer images, but never below 40.
        hardening_images: Images attacked once more by an attacker who knows the fitted guard; what he finds joins the
            training. 0 does without.
        hardening_steps: That he takes on each of them, at most.
        hardening_rounds: How often that is done, each time to the guard that came of the last, with other images.
        prior_strength: Of `ConformalCalibration`, images.
        strata: Bins of difficulty, each with thresholds of its own, from 1 to `MAX_STRATA`, fewer where images are
            few; None for as many as is usual.
        proxy: What difficulty is told by.
        seed: Of everything that is drawn.
        tuning: What of these is to be chosen by measurement; None takes them as they are.

    Raises:
        CalibrationError: A value is out of range.
    """

    scorer: ScorerChoice = ScorerChoice.AUTO
    rates: TargetRates = field(default_factory=TargetRates)
    prototypes: SynthesisOptions = field(default_factory=SynthesisOptions)
    runner_up_prototypes: int = 1
    blur: bool = True
    blur_sigma: float | None = None
    points: int = 4
    alphas: tuple[float, ...] | None = None
    views: bool = True
    residuals: bool = False
    hidden_paths: bool = False
    fit_fraction: float = 0.4
    corrupted_copies: int = 2
    attacks: tuple[ThreatModel, ...] = CALIBRATION_ATTACKS
    attack_images: int = 300
    work_per_attack: int = 75_000
    hardening_images: int = 0
    hardening_steps: int = 60
    hardening_rounds: int = 1
    prior_strength: float = PRIOR_STRENGTH
    strata: int | None = None
    proxy: Proxy = Proxy.MARGIN
    seed: int = 0
    tuning: TuningOptions | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fit_fraction < 1:
            raise CalibrationError(f"fit_fraction must lie between 0 and 1, not {self.fit_fraction}")
        if not 0 <= self.runner_up_prototypes <= self.prototypes.per_class:
            raise CalibrationError(
                f"runner_up_prototypes must lie in 0..{self.prototypes.per_class} (the prototypes per class), not "
                f"{self.runner_up_prototypes}"
            )
        if self.points < 1 or self.attack_images < 1:
            raise CalibrationError("points and attack_images must be at least 1")
        if min(self.hardening_rounds, self.hardening_steps) < 1:
            raise CalibrationError(
                f"hardening_rounds and hardening_steps must be at least 1, not {self.hardening_rounds} and "
                f"{self.hardening_steps}"
            )
        if self.strata is not None and not 1 <= self.strata <= MAX_STRATA:
            raise CalibrationError(f"strata must lie in 1..{MAX_STRATA}, not {self.strata}")
        if self.work_per_attack < 1 or min(self.hardening_images, self.corrupted_copies) < 0:
            raise CalibrationError(
                "work_per_attack must be at least 1; hardening_images, corrupted_copies not negative"
            )

    def images_for(self, model: ThreatModel) -> int:
        """How many images an attack is run on, at most."""
        return model.affordable(self.work_per_attack, least=_LEAST_ATTACKED, most=self.attack_images)

    @property
    def grid(self) -> tuple[float, ...]:
        """The inner grid points of every path."""
        return self.alphas or squared_steps(self.points)

    def plan(self, spec: ImageSpec, *, taps: bool = False) -> PathPlan:
        """The paths and the grid for a classifier's images.

        The grid is denser near the image, where attacks give way, and stops short of alpha 1: a prototype's own answer
        is known. Where the classifier has taps,
        they are read along the last path: the one to the blurred copy, if it is walked.
        """
        targets = [PathTarget(PathKind.PROTOTYPE, i) for i in range(self.prototypes.per_class)]
        targets += [PathTarget(PathKind.RUNNER_UP_PROTOTYPE, i) for i in range(self.runner_up_prototypes)]
        if self.blur:
            targets.append(PathTarget(PathKind.BLUR))
        automatic = max(_SMALLEST_BLUR, math.sqrt(min(spec.height, spec.width) / _BLUR_REFERENCE))
        tapped = (len(targets) - 1,) if taps else ()
        return PathPlan(
            tuple(targets),
            self.grid,
            self.blur_sigma or automatic,
            tapped,
            tuple(View) if self.views else (),
            self.residuals,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record for provenance."""
        return {**asdict(self), "attacks": [model.name for model in self.attacks]}


def squared_steps(points: int) -> tuple[float, ...]:
    """The default grid: so many inner points, the squares of even steps."""
    return tuple(round((i / (points + 1)) ** 2, 12) for i in range(1, points + 1))
