"""What the statistics of scores are told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from detector.errors import AnalysisError
from detector.research.difficulty.fingerprint import FingerprintOptions
from detector.research.difficulty.scaling import Scale

if TYPE_CHECKING:
    from detector.research.difficulty.table import ScoreTable

MAX_DRAWS: Final = 10_000
MAX_PERMUTATIONS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class StatisticsOptions:
    """How a table of scores is analysed.

    Args:
        scores: Which of the table's; none for all.
        scale: Whether ranks of examples are compared, or values.
        bins: Of examples, from the easiest to the hardest.
        draws: Most pairs of disjoint groups of runs, for each size of group.
        permutations: Most ways to deal runs out to two architectures; the paper takes 100, which can't show a p-value
            below 0.01, and many examples are tested at once.
        level: Of significance, above 0, below 1, and of false discoveries.
        score: The one by which fingerprints are taken and Welch's tests are drawn.
        fingerprint: How fingerprints are tried.
        seed: Of all draws but the fingerprints', which have their own.

    Raises:
        AnalysisError: A value is out of range.
    """

    scores: tuple[str, ...] = ()
    scale: Scale = Scale.RANKS
    bins: int = 100
    draws: int = 20
    permutations: int = 1000
    level: float = 0.05
    score: str = "avg-loss"
    fingerprint: FingerprintOptions = field(default_factory=FingerprintOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bins < 1 or not 1 <= self.draws <= MAX_DRAWS or not 1 <= self.permutations <= MAX_PERMUTATIONS:
            raise AnalysisError(
                f"difficulty: bins must be at least 1, draws lie in 1..{MAX_DRAWS}, permutations in "
                f"1..{MAX_PERMUTATIONS}"
            )
        if not 0 < self.level < 1:
            raise AnalysisError(f"difficulty: level must lie between 0 and 1, not {self.level:g}")

    def chosen(self, table: ScoreTable) -> ScoreTable:
        """A table with the scores that are asked for.

        Raises:
            AnalysisError: It has none of such a name.
        """
        return table.only(self.scores) if self.scores else table

    def small(self) -> StatisticsOptions:
        """The same for seconds."""
        return replace(
            self,
            draws=min(self.draws, 5),
            permutations=min(self.permutations, 100),
            fingerprint=replace(
                self.fingerprint, splits=min(self.fingerprint.splits, 10), random=min(self.fingerprint.random, 20)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready."""
        return {**asdict(self), "scores": list(self.scores)}
