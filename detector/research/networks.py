"""Networks that analyses train for themselves, kept so that none is trained twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.training.runs import Runs, runs_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe


def trained_networks(
    workplace: Workplace,
    title: str,
    recipes: Sequence[TrainingRecipe],
    images: LabelledImages,
    at: Sequence[int] | None = None,
) -> Arrays:
    """Networks of one architecture, found or trained.

    Args:
        workplace: Where they are kept.
        title: For people who watch.
        recipes: One for each.
        images: What they are trained on.
        at: Steps, rising, at which they are looked at; None for the last.

    Returns:
        By name their parameters and buffers, (recipes, steps, ...).

    Raises:
        AnalysisError: As for `detector.training.runs.checkpoints`.
        CalibrationError: The disk refuses.
    """
    steps = (recipes[0].plan.steps,) if at is None else tuple(at)
    return workplace.done(
        "permutation/networks",
        lambda: runs_job(title, recipes, Runs(images, steps)),
        recipes=[recipe.to_json() for recipe in recipes],
        at=list(steps),
    )
