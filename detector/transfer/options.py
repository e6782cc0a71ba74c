"""What a transfer is told: where each piece of evidence has its bar, and how much is measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from detector.attacks.threat_models import pgd
from detector.errors import CalibrationError

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel

ATTACK = pgd(2)
"""Cheap, and as shallow as moves images: a deeper one is told from benign images whatever the classifier."""
_SHARES = ("kept_share", "significance", "error_barrier", "detection_drop")
_LEAST_PART = 0.1  # of the sample
_COUNTS = ("attack_images", "barrier_images", "restarts")
_FEWEST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How a transfer decides. docs/transfer.md gives the reason for each default.

    Args:
        kept_share: Of the prototypes, at least so many must be kept.
        prototype_loss: A prototype is kept if the new classifier assigns it to its class with a cross-entropy of at
            most this, nats, or of what it had under the old one.
        significance: Of all tests for a shift together: the chance to find one where there is none.
        rate_factor: A realised rate counts if the sample is large enough to tell the target from this many times it;
            and no class may have a rate above this many times the target.
        error_barrier: Below it two aligned networks count as connected, share of images.
        detection_drop: The AUROC may fall by so much.
        calibration_share: Of the images, that set new thresholds; the others check them. From 0.1 to 0.9.
        attack: What detection is measured with; its budget grows until it moves half of the images.
        attack_images: Images that are attacked, at most.
        barrier_images: Images that the function barrier is measured on, at most.
        barrier_points: Mixtures of the two networks on the line between them, both ends included.
        restarts: Of the matching of weights; the best is kept.
        align: Whether the units of the new network may be put in the order of the old one's where the scorer reads
            hidden layers; its function stays.
        seed: Of all that is drawn.

    Raises:
        CalibrationError: A value is out of range.
    """

    kept_share: float = 0.95
    prototype_loss: float = 0.1
    significance: float = 0.01
    rate_factor: float = 2.0
    error_barrier: float = 0.02
    detection_drop: float = 0.03
    calibration_share: float = 0.5
    attack: ThreatModel = ATTACK
    attack_images: int = 100
    barrier_images: int = 1000
    barrier_points: int = 11
    restarts: int = 1
    align: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 < getattr(self, name) < 1:
                raise CalibrationError(f"transfer: {name} must lie between 0 and 1, not {getattr(self, name)}")
        if not _LEAST_PART <= self.calibration_share <= 1 - _LEAST_PART:
            raise CalibrationError(
                f"transfer: calibration_share must lie in {_LEAST_PART}..{1 - _LEAST_PART}, not "
                f"{self.calibration_share}"
            )
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise CalibrationError(f"transfer: {name} must be at least 1, not {getattr(self, name)}")
        if not (self.prototype_loss > 0 and self.rate_factor > 1 and self.barrier_points >= _FEWEST_POINTS):
            raise CalibrationError(
                f"transfer: prototype_loss must be above 0, rate_factor above 1, barrier_points at least "
                f"{_FEWEST_POINTS}, not {self.prototype_loss}, {self.rate_factor} and {self.barrier_points}"
            )

    def to_json(self) -> dict[str, Any]:
        """All of them, JSON values."""
        return {**asdict(self), "attack": self.attack.name}
