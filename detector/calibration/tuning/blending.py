"""Images that cross the border with nobody's gradient: another image, or noise, blended in until the answer turns.

Where no attack can be run, these stand for attacked images when paths are chosen. They are the crude start of attacks
that only ask (Foolbox's blended noise, the boundary attack's first step), so what is chosen by them is chosen by the
border and not by any attack in particular.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.corruptions import levels
from detector.shards.base import Job, shards

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.progress import Advance
    from detector.shards.base import Models, Shard
    from detector.shards.stages import Arrays

_BATCH = 64
_HALVINGS = 8


class Blend(StrEnum):
    """What is blended in."""

    IMAGE = "blended with another image"
    NOISE = "blended with noise"


@dataclass(frozen=True, eq=False)
class Blended:
    """Images of one shard.

    Args:
        images: float32 (n, channels, height, width), canonical.
        others: The same shape: what is blended in.
        labels: int64 (n,), the classes to leave.
        begin: Which of all is the first.
    """

    images: Float32Array
    others: Float32Array
    labels: NDArray[np.int64]
    begin: int


def blend_job(kind: Blend, images: Float32Array, labels: NDArray[np.int64], *, seed: int) -> Job:
    """Blends of images, in shards: `images` whose answer has turned, and their `rows` among all given.

    Args:
        kind: What is blended in; another image is any of those of another class.
        images: float32 (N, channels, height, width), canonical.
        labels: int64 (N,), what the classifier says of them.
        seed: Of the choice of images and of the noise.
    """
    generator = np.random.default_rng(seed)
    others = _partners(images, labels, generator) if kind is Blend.IMAGE else _noise(images, generator)

    def part(shard: Shard) -> Blended:
        rows = shard.rows
        return Blended(images[rows], others[rows], labels[rows], rows.start)

    return Job(f"Attacking: {kind.value}", _blend, None, part, shards(len(images), _BATCH))


def _partners(images: Float32Array, labels: NDArray[np.int64], generator: np.random.Generator) -> Float32Array:
    """For each image one of another class; itself where there is none."""
    order = generator.permutation(len(images))
    chosen = np.arange(len(images))
    for row, label in enumerate(labels):
        different = order[labels[order] != label]
        if len(different):
            chosen[row] = different[row % len(different)]
    return images[chosen]


def _noise(images: Float32Array, generator: np.random.Generator) -> Float32Array:
    return generator.random(images.shape, np.float32)


def _blend(models: Models, shared: None, part: Blended, advance: Advance) -> Arrays:
    del shared
    moved, rows = blended(models.classifier, part.images, part.others, part.labels)
    advance(len(part.images))
    return {"images": moved, "rows": part.begin + rows}


def blended(
    classifier: Classifier, images: Float32Array, others: Float32Array, labels: NDArray[np.int64]
) -> tuple[Float32Array, NDArray[np.int64]]:
    """Blend each image with another as little as turns the answer, by halving.

    Args:
        classifier: Gives the answers.
        images: float32 (n, channels, height, width), canonical.
        others: The same shape.
        labels: int64 (n,), the classes to leave.

    Returns:
        Those whose answer is turned, float32 (M, channels, height, width), whole multiples of 1/255, and which of the
        images they are.
    """

    def at(shares: NDArray[np.floating[Any]]) -> Float32Array:
        share = shares.astype(np.float32)[:, None, None, None]
        return levels((1 - share) * images + share * others)

    def turned(moved: Float32Array) -> NDArray[np.bool_]:
        return classifier.logits(moved).argmax(axis=1) != labels

    low, high = np.zeros(len(images)), np.ones(len(images))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        there = turned(at(middle))
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    moved = at(high)
    rows = np.flatnonzero(turned(moved))
    return moved[rows], rows
