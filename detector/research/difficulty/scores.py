"""The scores of all runs of all architectures: what every study of difficulty reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.research.difficulty.options import MAX_NUMBERS
from detector.research.difficulty.runs_job import scores_job
from detector.research.difficulty.table import ScoreTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.research.difficulty.options import DifficultyOptions
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays


def difficulty_runs(workplace: Workplace, options: DifficultyOptions) -> Mapping[str, Arrays]:
    """What runs say of every scored image, found or computed.

    Args:
        workplace: Where; its classifier is not asked.
        options: How; as they are, quick or not.

    Returns:
        By architecture ``scores`` float64 (runs, scores, examples), the higher, the harder, as `Watch.names` calls
        them; ``predicted`` int64 (runs, examples), at the end of training; ``learnt`` bool (runs, examples), whether a
        checkpoint was right.

    Raises:
        AnalysisError: There are too few or too many images, or training diverges.
        CalibrationError: The disk refuses.
    """
    watch = options.watch
    needed = len(options.chosen) * options.runs * len(watch.names) * len(watch.scored)
    if needed > MAX_NUMBERS:
        raise AnalysisError(
            f"difficulty: {needed} scores of all runs are more than the {MAX_NUMBERS} that are held at once; take "
            "fewer images or runs"
        )
    found = {}
    for architecture in options.chosen:
        recipes = options.recipes(architecture, watch.images, options.runs)
        found[architecture] = workplace.done(
            "difficulty/runs",
            partial(scores_job, f"Scoring, {architecture}", recipes, watch),
            recipes=[recipe.to_json() for recipe in recipes],
            watch=watch.to_json(),
        )
    return found


def difficulty_scores(workplace: Workplace, options: DifficultyOptions) -> ScoreTable:
    """The scores of single runs as one table; see `difficulty_runs`."""
    found = difficulty_runs(workplace, options)
    values = np.stack([found[architecture]["scores"] for architecture in options.chosen])
    return ScoreTable(options.chosen, options.watch.names, values)
