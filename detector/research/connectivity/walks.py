"""The work of the studies of pairs, in shards: loss curves, the paper's attack, bounded attacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.unconstrained import towards
from detector.calibration.attacking import Victims, moved_images
from detector.errors import GradientsUnavailableError
from detector.paths.curves import loss_curves
from detector.shards.base import Job, shards

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.attacks.running import PreparedAttack
    from detector.classifiers.base import Float32Array
    from detector.paths.pairing import Pairs
    from detector.progress import Advance
    from detector.shards.base import Models, Shard
    from detector.shards.stages import Arrays

_PATHS = 128
_MOVED = 64


@dataclass(frozen=True, eq=False)
class Pulled:
    """Images of one shard of the paper's attack.

    Args:
        images: float32 (n, C, H, W), canonical.
        goals: int64 (n,), the class each is to reach.
        thresholds: float32 (n,), the loss of the image it is paired with, nats: it stops below.
    """

    images: Float32Array
    goals: NDArray[np.int64]
    thresholds: Float32Array


def curve_job(title: str, count: int, points: int, pairs: Callable[[slice], Pairs]) -> Job:
    """Loss curves: `losses` float32 (count, points).

    Args:
        title: For people who watch.
        count: Of paths.
        points: Of the grid.
        pairs: Gives the ends of some of the paths.
    """
    return Job(f"Walking {title}", _walk, points, lambda shard: pairs(shard.rows), shards(count, _PATHS))


def pull_job(count: int, steps: int, part: Callable[[slice], Pulled]) -> Job:
    """The paper's attack, not rounded: `images`, and what the classifier takes them for, `predicted`.

    Args:
        count: Of images.
        steps: Adam's, at most.
        part: Gives some of the images.
    """
    return Job("Attacking as the paper does", _pull, steps, lambda shard: part(shard.rows), shards(count, _MOVED))


def bounded_job(attack: PreparedAttack, count: int, part: Callable[[slice], Victims]) -> Job:
    """A bounded attack, rounded to 256 levels: `images`, and what the classifier takes them for, `predicted`.

    Args:
        attack: Which, targeted.
        count: Of images.
        part: Gives some of the images.
    """

    def victims(shard: Shard) -> Victims:
        return part(shard.rows)

    return Job(f"Attacking: {attack.model.name}", _bounded, attack, victims, shards(count, attack.batch))


def _walk(models: Models, points: int, pairs: Pairs, advance: Advance) -> Arrays:
    curves = loss_curves(models.classifier, pairs.starts, pairs.ends, pairs.classes, points=points, on_progress=advance)
    return {"losses": curves.losses}


def _pull(models: Models, steps: int, part: Pulled, advance: Advance) -> Arrays:
    if models.gradients is None:
        raise GradientsUnavailableError("the paper's attack can't be run without gradients")
    given = (torch.tensor(values) for values in (part.images, part.goals, part.thresholds))
    moved = towards(models.gradients, *given, steps=steps).numpy()
    advance(len(moved))
    return {"images": moved, "predicted": np.argmax(models.classifier.logits(moved), axis=1)}


def _bounded(models: Models, attack: PreparedAttack, victims: Victims, advance: Advance) -> Arrays:
    moved = moved_images(models, attack, victims)
    advance(len(moved))
    return {"images": moved, "predicted": np.argmax(models.classifier.logits(moved), axis=1)}
