"""What studies of pairs of networks are told: which networks, of which images, and on what lines are measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from detector.errors import AnalysisError
from detector.research.permutation.measuring import Setting
from detector.research.permutation.networks import NetworkOptions

if TYPE_CHECKING:
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe

MAX_PAIRS: Final = 100
_LEAST_PAIRS = 2  # without two there is no interval
_LEAST_POINTS = 3
_SEEDS = 2 * MAX_PAIRS  # from one seed of a study to the next


@dataclass(frozen=True, kw_only=True, eq=False)
class PairOptions:
    """Pairs of networks, and what lines between them are measured on.

    Args:
        images: What networks are trained on and tested with.
        networks: How they are trained.
        width: Of them.
        pairs: Of networks, no two of which share one.
        test_share: Of the images, 0..1; no network is trained on them.
        points: Of the grid on a line between two networks, both ends included.
        measured: Images of training, and of others, that barriers are measured on, at most.
        seed: Of the split and the networks.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    networks: NetworkOptions = field(default_factory=NetworkOptions)
    width: int = 128
    pairs: int = 3
    test_share: float = 0.2
    points: int = 25
    measured: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not _LEAST_PAIRS <= self.pairs <= MAX_PAIRS:
            raise AnalysisError(f"pairs must lie in {_LEAST_PAIRS}..{MAX_PAIRS}, not {self.pairs}")
        if not 0 < self.test_share < 1 or self.points < _LEAST_POINTS or self.measured < 1:
            raise AnalysisError(
                f"test_share must lie between 0 and 1, points be at least {_LEAST_POINTS}, measured at least 1"
            )

    def small(self) -> Self:
        """The same for seconds: two pairs, trained shortly."""
        return replace(
            self,
            networks=replace(self.networks, epochs=min(self.networks.epochs, 4)),
            pairs=2,
            points=5,
            measured=min(self.measured, 1000),
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        return {**vars(self), "images": self.images.digest, "networks": self.networks.to_json()}

    def split(self) -> tuple[LabelledImages, LabelledImages]:
        """The images of training, and the others.

        Raises:
            AnalysisError: There are too few.
        """
        return self.images.split(round(len(self.images) * (1 - self.test_share)), self.seed)

    def recipes(self, train: LabelledImages) -> list[TrainingRecipe]:
        """Of all networks, the two of a pair one after the other.

        Raises:
            AnalysisError: There is no such network, or too many steps.
        """
        first = self.seed * _SEEDS
        return [self.networks.recipe(self.width, train, first + number) for number in range(2 * self.pairs)]

    def setting(self, train: LabelledImages, held_out: LabelledImages) -> Setting:
        """What lines between them are measured on."""
        recipe, most = self.recipes(train)[0], self.measured
        return Setting(recipe, train.head(most), held_out.head(most), self.points)
