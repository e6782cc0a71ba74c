"""Verdicts: what a p-value means at two target false-positive rates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from detector.errors import CalibrationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Verdict(StrEnum):
    """How likely an image is to be adversarial."""

    BENIGN = "BENIGN"
    SUSPECT = "SUSPECT"
    ADVERSARIAL = "ADVERSARIAL"


@dataclass(frozen=True)
class TargetRates:
    """The two target false-positive rates, fractions of benign images.

    Args:
        suspect: p-values at or below this are at least SUSPECT.
        adversarial: p-values at or below this are ADVERSARIAL.

    Raises:
        CalibrationError: Not ``0 < adversarial < suspect < 1``.
    """

    suspect: float = 0.05
    adversarial: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.adversarial < self.suspect < 1:
            raise CalibrationError(
                f"target rates must satisfy 0 < adversarial < suspect < 1, not {self.adversarial} and {self.suspect}"
            )

    def overridden(self, *, suspect: float | None, adversarial: float | None) -> TargetRates:
        """These rates, but for those that are given; errors as for the class."""
        return TargetRates(
            self.suspect if suspect is None else suspect, self.adversarial if adversarial is None else adversarial
        )

    def verdicts(self, p_values: NDArray[np.float64]) -> tuple[Verdict, ...]:
        """One verdict per p-value; p-values are float64 (N,) in (0, 1]."""
        return tuple(map(self._verdict, p_values.tolist()))

    def _verdict(self, p_value: float) -> Verdict:
        if p_value <= self.adversarial:
            return Verdict.ADVERSARIAL
        return Verdict.SUSPECT if p_value <= self.suspect else Verdict.BENIGN
