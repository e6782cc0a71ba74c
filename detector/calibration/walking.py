"""Asking the classifier, in shards: its answers to images, and their path profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector.corruptions import everyday
from detector.engine.walker import PathWalker
from detector.images import to_canonical
from detector.scoring.features import profile_features
from detector.shards.base import Job, shards

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import UInt8Array
    from detector.paths.straight import Prototypes
    from detector.profiles import PathPlan
    from detector.progress import Advance
    from detector.scoring.tap_statistics import TapStatistics
    from detector.shards.base import Models, Shard
    from detector.shards.stages import Arrays

_CHUNK = 256
"""Images of a shard. Another number would round some answers differently and draw other corruptions."""


@dataclass(frozen=True, eq=False)
class Walk:
    """What all shards of a walk share.

    Args:
        prototypes: Where the prototype paths lead.
        plan: Which paths, and where on them.
        statistics: Of the taps, to read hidden paths by; None does not read them.
    """

    prototypes: Prototypes
    plan: PathPlan
    statistics: TapStatistics | None = None


@dataclass(frozen=True, eq=False)
class Walkers:
    """Images that are to be walked from.

    Args:
        images: uint8 (n, height, width, channels) as read, or float32 (n, channels, height, width), canonical.
        corrupted: The seed by which they are first corrupted in everyday ways; None leaves them as they are.
    """

    images: NDArray[Any]
    corrupted: int | None = None


def classify_job(pixels: UInt8Array) -> Job:
    """The classifier's answers to images: `logits`."""
    return Job("Classifying images", _classify, None, lambda shard: pixels[shard.rows], shards(len(pixels), _CHUNK))


def taps_job(images: Callable[[slice], UInt8Array], count: int) -> Job:
    """The taps of some images: `taps`.

    Args:
        images: Gives some of them.
        count: How many.
    """
    return Job("Reading hidden layers", _read_taps, None, lambda shard: images(shard.rows), shards(count, _CHUNK))


def walk_job(title: str, walk: Walk, count: int, walkers: Callable[[slice], Walkers]) -> Job:
    """Path profiles of images, read: `features`.

    Args:
        title: What images.
        walk: Where to.
        count: How many.
        walkers: Gives some of them.
    """

    def part(shard: Shard) -> Walkers:
        return walkers(shard.rows)

    return Job(f"Walking paths of {title}", _walk, walk, part, shards(count, _CHUNK))


def _classify(models: Models, shared: None, pixels: UInt8Array, advance: Advance) -> Arrays:
    del shared
    logits = models.classifier.logits(to_canonical(pixels, models.classifier.spec.shape))
    advance(len(logits))
    return {"logits": logits}


def _read_taps(models: Models, shared: None, pixels: UInt8Array, advance: Advance) -> Arrays:
    del shared
    taps = models.classifier.answers(to_canonical(pixels, models.classifier.spec.shape)).taps
    advance(len(taps))
    return {"taps": taps}


def _walk(models: Models, walk: Walk, walkers: Walkers, advance: Advance) -> Arrays:
    images = (
        to_canonical(walkers.images, models.classifier.spec.shape) if walkers.images.dtype == "u1" else walkers.images
    )
    if walkers.corrupted is not None:
        images = everyday(images, seed=walkers.corrupted)
    profile = PathWalker(models.classifier, walk.prototypes, walk.plan).profile(images)
    features = profile_features(profile, walk.statistics)
    advance(len(features))
    return {"features": features}
