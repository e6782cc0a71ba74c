"""What an evaluation is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from detector.attacks.threat_models import THREAT_MODELS, Family, ThreatModel
from detector.calibration.options import CalibrationOptions
from detector.errors import CalibrationError

if TYPE_CHECKING:
    from pathlib import Path

_QUICK_FAMILIES = {Family.FGSM, Family.PGD, Family.FMN, Family.SALT_AND_PEPPER}
_LEAST_IMAGES = 20


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How to evaluate.

    Args:
        calibration: How the detector under test is calibrated.
        models: The attacks.
        most_images: Images used, at most, drawn at random; None for all.
        test_fraction: Of the images, that only test.
        attack_images: Correctly classified test images attacked, at most, by each attack.
        work_per_attack: Forwards, a backward counting as two, that an attack may spend on all its images; costly ones
            get fewer images, but never below 20.
        control_images: Test images corrupted or mixed, or images of another kind, at most, for each control.
        leave_out: Whether to fit again without each kin of attacks.
        peers: Whether to run other detectors.
        peer_images: Calibration images, benign test images and attacked images of each attack, at most, that peers
            score; some are slow. They are the first of those the guard scores.
        adaptive_images: Images attacked by attackers who know the guard; 0 for none.
        stand_in_images: Those by which the attackers fit their soft copies of the scorer.
        adaptive_steps: Of their gradient attacks.
        adaptive_queries: Of the attack that only asks.
        adaptive_budgets: Of the strongest of them, Linf, in 255ths, rising; 8 is always added.
        hardening_images: For a second guard, hardened with so many images (see `CalibrationOptions`), attacked in the
            same way; 0 for none.
        other_images: A gzipped idx file of images of another kind (MNIST's test images), as a control.
        seed: Of everything that is drawn.

    Raises:
        CalibrationError: A value is out of range.
    """

    calibration: CalibrationOptions = field(default_factory=CalibrationOptions)
    models: tuple[ThreatModel, ...] = THREAT_MODELS
    most_images: int | None = None
    test_fraction: float = 0.4
    attack_images: int = 150
    work_per_attack: int = 45_000
    control_images: int = 500
    leave_out: bool = True
    peers: bool = True
    peer_images: tuple[int, int, int] = (800, 800, 60)
    adaptive_images: int = 32
    stand_in_images: int = 400
    adaptive_steps: int = 100
    adaptive_queries: int = 300
    adaptive_budgets: tuple[float, ...] = (2.0, 8.0, 32.0)
    hardening_images: int = 0
    other_images: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1:
            raise CalibrationError(f"test_fraction must lie between 0 and 1, not {self.test_fraction}")
        if self.stand_in_images < _LEAST_IMAGES:
            raise CalibrationError(f"stand_in_images must be at least {_LEAST_IMAGES}, not {self.stand_in_images}")
        if self.most_images is not None and self.most_images < _LEAST_IMAGES:
            raise CalibrationError(f"most_images must be at least {_LEAST_IMAGES}, not {self.most_images}")
        if self.attack_images < _LEAST_IMAGES:
            raise CalibrationError(f"attack_images must be at least {_LEAST_IMAGES}, not {self.attack_images}")
        if min(self.peer_images) < _LEAST_IMAGES:
            raise CalibrationError(f"peer_images must be at least {_LEAST_IMAGES} each, not {self.peer_images}")
        if min(self.adaptive_images, self.hardening_images) < 0 or self.adaptive_steps < 1 or self.adaptive_queries < 1:
            raise CalibrationError(
                "adaptive_images and hardening_images must not be negative, adaptive_steps and adaptive_queries at "
                "least 1"
            )
        if (
            list(self.adaptive_budgets) != sorted(set(self.adaptive_budgets))
            or min(self.adaptive_budgets, default=0) <= 0
        ):
            raise CalibrationError(f"adaptive_budgets must rise from above 0, not {self.adaptive_budgets}")

    @classmethod
    def quick(cls) -> Self:
        """For continuous integration: a few cheap attacks on few images, no peer that learns, one adaptive budget."""
        return cls(
            calibration=CalibrationOptions(attack_images=60, work_per_attack=25_000),
            most_images=2_500,
            models=tuple(m for m in THREAT_MODELS if m.family in _QUICK_FAMILIES and not m.targeted),
            attack_images=60,
            work_per_attack=6_000,
            control_images=100,
            leave_out=False,
            peers=False,
            adaptive_images=8,
            stand_in_images=150,
            adaptive_steps=20,
            adaptive_queries=50,
            adaptive_budgets=(8.0,),
        )

    def images_for(self, model: ThreatModel) -> int:
        """How many images an attack is run on."""
        return model.affordable(self.work_per_attack, least=_LEAST_IMAGES, most=self.attack_images)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        fields = asdict(self)
        fields["calibration"] = self.calibration.to_json()
        fields["models"] = [model.name for model in self.models]
        fields["other_images"] = None if self.other_images is None else self.other_images.name
        return fields
