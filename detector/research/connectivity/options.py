"""What the studies of input-space mode connectivity are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from detector.errors import AnalysisError
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions
from detector.research.connectivity.family_study import FamilyOptions
from detector.research.connectivity.film import FilmOptions
from detector.research.connectivity.percolation_jobs import PercolationOptions
from detector.research.connectivity.training_study import TrainingStudyOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_PAIRS: Final = 100_000
MAX_POINTS: Final = 1025
_LEAST_PAIRS = 2
_LEAST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class ConnectivityOptions:
    """What all studies of connectivity share, and what one of them needs.

    Args:
        pairs: Of each kind, at most; spread evenly over the classes.
        points: Of the grid on a straight path, both ends included.
        epsilon: A path connects where no loss on it reaches this, nats.
        rounds: Of bypasses, at most.
        steps: Adam's, for every bypass.
        attack_steps: Adam's, for the paper's own attack, at most: it stops where the paired image's loss is reached.
        prototypes: Synthetic inputs of each class, so many rough ones and as many smooth ones.
        prototype_steps: Adam's, at most.
        prototype_rate: Adam's, on pixels in [0, 1]: the authors' 0.05 of a pixel's standard deviation.
        prototype_loss: They are done once the class's loss is below it at all of them, nats; the authors' value. What
            is optimised further is of higher confidence than any image, and tells less.
        smoothness: Weight of the smooth ones' penalty; see `SynthesisOptions.smoothness`.
        low_loss: Where both ends are below it, nats, they are taken for well classified.
        quick: Whether studies that have sizes of their own take the smallest that still show something.
        seed: Of all that is drawn.
        barriers: Published barrier statistics: files by the kind of pair they are of.

    Raises:
        AnalysisError: A value is out of range.
    """

    pairs: int = 300
    points: int = 51
    epsilon: float = 0.1
    rounds: int = 2
    steps: int = 256
    attack_steps: int = 512
    prototypes: int = 4
    prototype_steps: int = 400
    prototype_rate: float = 0.015
    prototype_loss: float = 5e-3
    smoothness: float = 1.0
    low_loss: float = 0.5
    quick: bool = False
    seed: int = 0
    barriers: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _LEAST_PAIRS <= self.pairs <= MAX_PAIRS:
            raise AnalysisError(f"pairs must lie in {_LEAST_PAIRS}..{MAX_PAIRS}, not {self.pairs}")
        if not _LEAST_POINTS <= self.points <= MAX_POINTS:
            raise AnalysisError(f"points must lie in {_LEAST_POINTS}..{MAX_POINTS}, not {self.points}")
        for name in ("attack_steps", "prototypes", "prototype_steps"):
            if getattr(self, name) < 1:
                raise AnalysisError(f"{name} must be at least 1, not {getattr(self, name)}")
        if min(self.epsilon, self.low_loss, self.prototype_loss, self.prototype_rate) <= 0 or self.smoothness < 0:
            raise AnalysisError(
                "epsilon, low_loss, prototype_loss and prototype_rate must be above 0, smoothness not negative"
            )
        _ = self.chains  # which refuses what it can't use

    @classmethod
    def small(cls) -> ConnectivityOptions:
        """A few pairs and few steps: minutes, to see that all is well."""
        return cls(pairs=60, rounds=1, steps=64, attack_steps=128, prototypes=2, prototype_steps=100, quick=True)

    def given(self, **values: Any) -> ConnectivityOptions:
        """The same with those values that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    @property
    def families(self) -> FamilyOptions:
        """Which families of paths are tried, on fewer pairs than elsewhere: every budget is spent whole."""
        least = FamilyOptions()
        if self.quick:
            least = replace(least, pairs=40, budgets=(4, 16), groups=4, group_steps=8)
        pairs = min(self.pairs, least.pairs)
        return replace(least, pairs=pairs, points=self.points, epsilon=self.epsilon, seed=self.seed)

    @property
    def film(self) -> FilmOptions:
        """What is filmed."""
        pool = FilmOptions().pool // (2 if self.quick else 1)
        return FilmOptions(pool=pool, epsilon=self.epsilon, attack_steps=self.attack_steps, seed=self.seed)

    @property
    def training(self) -> TrainingStudyOptions:
        """How networks are trained and looked at on the way."""
        whole = TrainingStudyOptions(seed=self.seed)
        return whole.quick() if self.quick else whole

    @property
    def percolation(self) -> PercolationOptions:
        """What percolates."""
        whole = PercolationOptions(seed=self.seed)
        return whole.quick() if self.quick else whole

    @property
    def chains(self) -> ChainOptions:
        """How paths are bypassed."""
        return ChainOptions(
            epsilon=self.epsilon, rounds=self.rounds, points=self.points, bypass=BypassOptions(steps=self.steps)
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready."""
        plain = {name: value for name, value in vars(self).items() if name != "barriers"}
        return {**plain, "barriers": {kind: file.name for kind, file in self.barriers.items()}}
