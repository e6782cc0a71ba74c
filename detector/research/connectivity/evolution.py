"""The barrier between synthetic modes as training goes on (Vrabel et al., App. F.1): new pairs at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.paths.curves import loss_curves
from detector.research.connectivity.modes import mode_pairs
from detector.training.runs import Runs, runs_job
from detector.training.trainer import default_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.connectivity.modes import ModeOptions
    from detector.shards.base import Job
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe
    from detector.training.runs import Checkpoint


@dataclass(frozen=True, eq=False)
class Watch:
    """What is looked at as a network is trained.

    Args:
        modes: How pairs of modes are made.
        test: Images that it is not trained on.
        points: Of the grid on a path.
    """

    modes: ModeOptions
    test: LabelledImages
    points: int = 51


def evolution_job(recipes: Sequence[TrainingRecipe], images: LabelledImages, at: tuple[int, ...], watch: Watch) -> Job:
    """Barriers of straight paths between pairs of modes at every checkpoint, a network a shard.

    Its arrays, for (networks, checkpoints, pairs): `heights`, `ends` and `areas` of the loss along the path, `cosines`
    and `distances` of the pair; for (networks, checkpoints): `accuracies` on the test images; all float32.

    Args:
        recipes: What is trained.
        images: What on.
        at: Steps at which to look.
        watch: At what.
    """
    return runs_job("Watching barriers as networks are trained", recipes, Runs(images, at, _look, watch))


def _look(recipe: TrainingRecipe, checkpoint: Checkpoint, watch: Watch) -> Arrays:
    classifier = recipe.classifier(checkpoint.module.to(default_device()))
    pairs = mode_pairs(classifier, watch.modes)
    curves = loss_curves(classifier, pairs.starts, pairs.ends, pairs.classes, points=watch.points)
    right = classifier.logits(watch.test.canonical).argmax(axis=1) == watch.test.labels
    return {
        "heights": curves.heights,
        "ends": curves.ends,
        "areas": curves.areas,
        "cosines": pairs.cosines,
        "distances": pairs.distances,
        "accuracies": np.asarray(right.mean(), np.float32),
    }
