"""What may be chosen by measurement, and from what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detector.errors import CalibrationError

_FEWEST = 40  # images, for a share of them to say anything


class Knob(StrEnum):
    """What tuning may turn. Whatever the user gives is kept as it is given."""

    POINTS = "points"
    PROTOTYPES = "prototypes"
    RUNNER_UPS = "runner-ups"
    SMOOTHNESS = "prototype-smoothness"


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How to tune.

    Args:
        budget: Most forwards per image that the guard may cost; None for any number.
        kept: Knobs that are not turned.
        points: Numbers of inner grid points to try, spaced in three ways each.
        prototypes: Numbers of prototypes per class to try.
        runner_ups: Numbers of paths to prototypes of the runner-up class to try.
        smoothness: Weights of the prototypes' smoothness penalty to try.
        prior_strengths: Of `ConformalCalibration`, images, to try.
        benign_images: That fit the scorer and are looked at by the search for paths, at most.
        attacked_images: Of each attack, likewise.
        undecided_images: Benign and attacked each, at most, that the second stage is tried on; 0 does without.

    Raises:
        CalibrationError: A value is out of range.
    """

    budget: int | None = None
    kept: tuple[Knob, ...] = ()
    points: tuple[int, ...] = (1, 2, 4, 6)
    prototypes: tuple[int, ...] = (1, 2, 3, 4)
    runner_ups: tuple[int, ...] = (0, 1)
    smoothness: tuple[float, ...] = (0.0, 4.0, 16.0)
    prior_strengths: tuple[float, ...] = (0.0, 30.0, 100.0, 300.0, 10_000.0)
    benign_images: int = 400
    attacked_images: int = 40
    undecided_images: int = 48

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 1:
            raise CalibrationError(f"tuning: budget must be at least 1 forward per image, not {self.budget}")
        for name, least in (("points", 1), ("prototypes", 1), ("runner_ups", 0), ("smoothness", 0)):
            values = getattr(self, name)
            if not values or min(values) < least:
                raise CalibrationError(f"tuning: {name} must name values of at least {least}, not {values}")
        if not self.prior_strengths or min(self.prior_strengths) < 0:
            raise CalibrationError(f"tuning: prior_strengths must not be negative, not {self.prior_strengths}")
        if self.benign_images < _FEWEST or self.attacked_images < 1:
            raise CalibrationError(
                f"tuning: benign_images must be at least {_FEWEST} and attacked_images at least 1, not "
                f"{self.benign_images} and {self.attacked_images}"
            )
        if self.undecided_images < 0:
            raise CalibrationError(f"tuning: undecided_images must not be negative, not {self.undecided_images}")
