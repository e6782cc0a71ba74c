"""Square attack on the whole guard, by one who can only ask it.

Andriushchenko et al., *Square Attack: a query-efficient black-box adversarial attack via random search*,
arXiv 1912.00049, Alg. 1 and 2 (Linf), with the guard's score as a second thing to search on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.adaptive.ball import Ball
from detector.attacks.adaptive.checks import check_attack
from detector.attacks.adaptive.judging import WON, badness
from detector.classifiers.base import UInt8Array
from detector.images import to_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.detector import Detector

_FIRST_SHARE = 0.8  # of the image's area that a square covers at first, as in AutoAttack
_HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # of the queries (Sec. 3.2 of the paper)


@dataclass(frozen=True, eq=False)
class QueryAnswer:
    """What a guard says of N images.

    Args:
        logits: float32 (N, classes); any constant per image may be added.
        scores: float32 (N,), higher means more adversarial.
        p_values: float64 (N,), of the scores.
    """

    logits: Float32Array
    scores: Float32Array
    p_values: NDArray[np.float64]


Query = Callable[[UInt8Array], QueryAnswer]
"""Asks a guard about images, uint8 (N, height, width, channels)."""


def detector_query(detector: Detector) -> Query:
    """Ask a detector in this process."""

    def query(images: UInt8Array) -> QueryAnswer:
        found = detector.score(images)
        return QueryAnswer(found.logits, found.scores, found.p_values)

    return query


@dataclass(frozen=True, eq=False)
class SquareResult:
    """What the search has come to.

    Args:
        images: float32 (N, channels, height, width), canonical, whole levels: the best of each.
        queries: int64 (N,), how often the guard was asked about each.
        badness: float64 (N,), of the best; see `badness`.
    """

    images: Float32Array
    queries: NDArray[np.int64]
    badness: NDArray[np.float64]


def square_attack(
    query: Query,
    images: Float32Array,
    labels: NDArray[np.int64],
    *,
    budget: float,
    queries: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> SquareResult:
    """Search for images that the classifier takes for another class and the guard for benign.

    First the label's margin is lowered; once the class is wrong, the score, and no step back is taken. Images on which
    nothing is left to win are not asked about any more.

    Args:
        query: The guard.
        images: float32 (N, channels, height, width), canonical, whole levels.
        labels: int64 (N,), classes to leave.
        budget: Linf, in (0, 1].
        queries: Most per image.
        seed: Of the search.
        on_progress: Told the number of rounds of queries done since it was told last; `queries` at most.

    Raises:
        InvalidInputError: The budget or the number of queries is out of range, or labels are missing.
    """
    check_attack(images, labels, budget=budget, queries=queries)
    random = np.random.default_rng(seed)
    ball = Ball.around(torch.from_numpy(images), budget)
    low, high = ball.low.numpy(), ball.high.numpy()
    best = _stripes(low, high, random)
    worth = _asked(query, best, labels)
    spent = np.ones(len(images), np.int64)
    for asked in range(1, queries):
        rows = np.flatnonzero(worth >= WON)
        if not len(rows):
            break
        side = _side(images.shape[2:], asked / queries)
        tried = np.stack([_with_square(best[row], low[row], high[row], side, random) for row in rows])
        now = _asked(query, tried, labels[rows])
        better = now < worth[rows]
        best[rows[better]], worth[rows[better]] = tried[better], now[better]
        spent[rows] += 1
        if on_progress:
            on_progress(1)
    return SquareResult(best, spent, worth)


def _asked(query: Query, images: Float32Array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    answer = query(to_pixels(images))
    return badness(answer.logits, labels, answer.scores, answer.p_values)


def _stripes(low: Float32Array, high: Float32Array, random: np.random.Generator) -> Float32Array:
    """Where the search starts: vertical stripes one pixel wide, each channel of each at one end of its range."""
    count, channels, _, width = low.shape
    return np.where(random.random((count, channels, 1, width)) < 0.5, low, high)  # noqa: PLR2004 - a fair coin


def _side(size: tuple[int, ...], progress: float) -> int:
    """The side of the square at a point of the search, pixels."""
    share = _FIRST_SHARE / 2 ** sum(progress > at for at in _HALVED_AT)
    return max(1, min(round((share * size[0] * size[1]) ** 0.5), *size))


def _with_square(
    image: Float32Array, low: Float32Array, high: Float32Array, side: int, random: np.random.Generator
) -> Float32Array:
    """An image with one square in it, each channel at one end of its range; never the image itself, if that can be."""
    channels, height, width = image.shape
    top, left = random.integers(height - side + 1), random.integers(width - side + 1)
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    up = random.random((channels, 1, 1)) < 0.5  # noqa: PLR2004 - a fair coin
    square = np.where(up, high[window], low[window])
    if np.array_equal(square, image[window]):
        square = np.where(up, low[window], high[window])
    changed = image.copy()
    changed[window] = square
    return changed
