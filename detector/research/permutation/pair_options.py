"""What studies of pairs of networks are told: which networks, of which images, and on what lines are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from detector.errors import AnalysisError
from detector.research.permutation.measuring import Setting
from detector.research.permutation.study_options import NetworkStudyOptions

if TYPE_CHECKING:
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe

MAX_PAIRS: Final = 100
_LEAST_PAIRS = 2  # without two there is no interval
_SEEDS = 2 * MAX_PAIRS  # from one seed of a study to the next


@dataclass(frozen=True, kw_only=True, eq=False)
class PairOptions(NetworkStudyOptions):
    """Pairs of networks, and what lines between them are measured on.

    Args:
        width: Of the networks.
        pairs: Of networks, no two of which share one.

    Raises:
        AnalysisError: A value is out of range.
    """

    width: int = 128
    pairs: int = 3
    points: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _LEAST_PAIRS <= self.pairs <= MAX_PAIRS:
            raise AnalysisError(f"pairs must lie in {_LEAST_PAIRS}..{MAX_PAIRS}, not {self.pairs}")

    def small(self) -> Self:
        """The same for seconds: two pairs, trained shortly."""
        return replace(
            self,
            networks=replace(self.networks, epochs=min(self.networks.epochs, 4)),
            pairs=2,
            points=5,
            measured=min(self.measured, 1000),
        )

    def recipes(self, train: LabelledImages) -> list[TrainingRecipe]:
        """Of all networks, the two of a pair one after the other.

        Raises:
            AnalysisError: There is no such network, or too many steps.
        """
        first = self.seed * _SEEDS
        return [self.networks.recipe(self.width, train, first + number) for number in range(2 * self.pairs)]

    def setting(self, train: LabelledImages, held_out: LabelledImages) -> Setting:
        """What lines between them are measured on."""
        return Setting(self.recipes(train)[0], *self.heads(train, held_out), self.points)
