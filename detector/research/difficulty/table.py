"""Scores of difficulty: every example, by every score, in every run of every architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_AXES = 4


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of the same examples by runs that differ in their seeds alone, for each of some architectures.

    Args:
        architectures: Names, each once.
        scores: Names, each once.
        values: float64 (architectures, runs, scores, examples), finite; the higher, the harder, for every score.

    Raises:
        AnalysisError: A name is there twice, the axes don't fit the names, nothing is there, or a value is not finite.
    """

    architectures: tuple[str, ...]
    scores: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        for what, names in (("architectures", self.architectures), ("scores", self.scores)):
            if len(set(names)) != len(names):
                raise AnalysisError(f"difficulty: {what} must differ in their names, not {', '.join(names)}")
        shape = self.values.shape
        fits = self.values.ndim == _AXES and shape[::2] == (len(self.architectures), len(self.scores))
        if not fits or not self.values.size:
            raise AnalysisError(
                f"difficulty: values of {len(self.architectures)} architectures and {len(self.scores)} scores have no "
                f"shape {shape}; (architectures, runs, scores, examples) is expected, none of them 0"
            )
        if not np.isfinite(self.values).all():
            where = int(np.argwhere(~np.isfinite(self.values))[0][2])
            raise AnalysisError(f"difficulty: the score {self.scores[where]} is not finite for some example")

    @property
    def runs(self) -> int:
        """Of each architecture."""
        return self.values.shape[1]

    @property
    def examples(self) -> int:
        """How many there are."""
        return self.values.shape[3]

    def of(self, architecture: str, score: str | None = None) -> NDArray[np.float64]:
        """What runs of an architecture say.

        Args:
            architecture: Its name.
            score: Its name; None for all.

        Returns:
            float64 (runs, examples), or (runs, scores, examples) for all scores.

        Raises:
            AnalysisError: There is no such architecture or score.
        """
        values: NDArray[np.float64] = self.values[_place("architecture", architecture, self.architectures)]
        return values if score is None else values[:, _place("score", score, self.scores)]

    def only(self, scores: Sequence[str]) -> ScoreTable:
        """The same with some of its scores, in that order.

        Raises:
            AnalysisError: There is no such score.
        """
        rows = [_place("score", name, self.scores) for name in scores]
        return ScoreTable(self.architectures, tuple(scores), self.values[:, :, rows])


def _place(what: str, name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise AnalysisError(f"difficulty: no {what} {name!r}; there are {', '.join(names)}")
    return names.index(name)
