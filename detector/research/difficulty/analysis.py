"""The analysis of difficulty: all its studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.research.analysis import AnalysisKind
from detector.research.difficulty import (
    bias_study,
    cleaning_study,
    components_study,
    covariance_study,
    fingerprint_study,
    reliability_study,
    variance_study,
)
from detector.research.difficulty.options import DifficultyOptions
from detector.research.difficulty.scores import difficulty_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable
    from detector.research.studies import Study, Workplace


def _of_scores(
    study: Callable[[ScoreTable, StatisticsOptions, str], Study],
) -> Callable[[Workplace, DifficultyOptions], Study]:
    """A study of the table of all runs, which is computed by the first of them and found by the others."""

    def studied(workplace: Workplace, options: DifficultyOptions) -> Study:
        sized = options.sized
        return study(difficulty_scores(workplace, sized), sized.statistics, sized.what)

    return studied


STUDIES: Final[Mapping[str, Callable[[Workplace, DifficultyOptions], Study]]] = {
    reliability_study.NAME: _of_scores(reliability_study.of_table),
    variance_study.NAME: _of_scores(variance_study.of_table),
    covariance_study.NAME: _of_scores(covariance_study.of_table),
    components_study.NAME: _of_scores(components_study.of_table),
    bias_study.NAME: _of_scores(bias_study.of_table),
    fingerprint_study.NAME: _of_scores(fingerprint_study.of_table),
    cleaning_study.NAME: lambda at, options: cleaning_study.study(at, options.sized),
}
"""All studies, in the order they are run and reported: what is new is a line here."""

KIND: Final = AnalysisKind[DifficultyOptions](
    name="difficulty",
    title="How hard examples are, and for which networks",
    units="Scores are turned so that more is harder, and examples are compared by their ranks.",
    studies=STUDIES,
)
