"""Strata of difficulty: bins of images by how hard the classifier finds them, told from its own logits of the image.

A threshold that holds on average may be kept by easy images at the cost of hard ones. Thresholds set within each bin
keep the promise in each (Mondrian conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, Sec. 4.5), if bins are drawn without a look at the images that set the thresholds. At run time there is no
label and no second classifier, so the bin must follow from what the classifier says of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

MAX_STRATA: Final = 64
"""Most strata there may be."""


class Proxy(StrEnum):
    """What stands for an image's difficulty at run time; higher is harder for each.

    MARGIN: the second largest logit minus the largest, so the log of the ratio of the two classes' probabilities; at
    most 0. CONFIDENCE: the log-odds against the predicted class, which rises as its probability falls. ENTROPY: of the
    softmax, nats.

    The first two tell apart images whose softmax rounds to certainty. All are taken in double precision and rounded to
    single, so that they hang on the logits alone and not on the order in which an engine adds up.
    """

    MARGIN = "margin"
    CONFIDENCE = "confidence"
    ENTROPY = "entropy"


@dataclass(frozen=True)
class Strata:
    """Bins of difficulty, numbered from the easiest, 0.

    Args:
        edges: Where each stratum but the first begins, rising; an image at an edge is in the harder of the two. None
            puts all images into one stratum.
        proxy: What is compared with them.

    Raises:
        CalibrationError: Edges that do not rise, are not finite or no float32, or more than `MAX_STRATA` strata.
    """

    edges: tuple[float, ...] = ()
    proxy: Proxy = Proxy.MARGIN

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, np.float64)
        if len(edges) >= MAX_STRATA:
            raise CalibrationError(f"edges: at most {MAX_STRATA} strata, not {self.count}")
        exact = (np.abs(edges) <= np.finfo(np.float32).max).all() and (edges == edges.astype(np.float32)).all()
        if not exact or not (np.diff(edges) > 0).all():
            raise CalibrationError(f"edges must be finite float32 numbers that rise, not {self.edges}")

    @property
    def count(self) -> int:
        """How many strata, at least 1."""
        return len(self.edges) + 1

    def difficulty(self, logits: Float32Array) -> Float32Array:
        """float32 (N,): how hard images are, by their logits (N, classes)."""
        return difficulty_of(logits, self.proxy)

    def numbers(self, difficulty: Float32Array) -> NDArray[np.int64]:
        """int64 (N,), 0 to count - 1: the strata of images that are so hard, float32 (N,)."""
        return np.searchsorted(np.asarray(self.edges, np.float32), difficulty, side="right").astype(np.int64)

    def of(self, logits: Float32Array) -> NDArray[np.int64]:
        """int64 (N,): the strata of images, by their logits (N, classes)."""
        return np.zeros(len(logits), np.int64) if self.count == 1 else self.numbers(self.difficulty(logits))

    def counts(self, logits: Float32Array) -> NDArray[np.int64]:
        """int64 (strata, classes): how many images are in each stratum and predicted as each class."""
        return count_cells(self.of(logits), logits.argmax(axis=1), (self.count, logits.shape[1]))


ONE_STRATUM: Final = Strata()
"""All images together, however hard."""


def difficulty_of(logits: Float32Array, proxy: Proxy) -> Float32Array:
    """How hard the classifier finds images.

    Args:
        logits: float32 (N, classes), at least two classes, finite: its answers to the images themselves.
        proxy: What is measured.

    Returns:
        float32 (N,), higher is harder.
    """
    falling = -np.sort(-logits.astype(np.float64), axis=1)
    # The largest logit is left out of each sum of exponentials: beside it what tells easy images apart is rounded off.
    below = falling[:, 1:] - falling[:, :1]
    match proxy:
        case Proxy.MARGIN:
            found = below[:, 0]
        case Proxy.CONFIDENCE:
            found = below[:, 0] + np.log(np.exp(below - below[:, :1]).sum(axis=1))
        case Proxy.ENTROPY:
            weights = np.exp(below)
            total = 1 + weights.sum(axis=1)
            found = np.log(total) - (weights * below).sum(axis=1) / total
    return found.astype(np.float32)


def count_cells(numbers: NDArray[np.int64], predicted: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How many images, int64 (N,) each, are in each stratum and predicted as each class: int64 of that shape."""
    found = np.zeros(shape, np.int64)
    np.add.at(found, (numbers, predicted), 1)
    return found


def quantile_strata(fitting: Float32Array, wanted: int, *, least: float, proxy: Proxy) -> Strata:
    """Strata of equal shares of some images, as far as ties let them.

    The edges lie half-way between images, so that none of these is where rounding could move it.

    Args:
        fitting: float32 (n,), n >= 1, difficulty of images that do not set the thresholds.
        wanted: How many strata, from 1 to `MAX_STRATA`.
        least: The smallest share of the images that a stratum may have; smaller ones join a neighbour.
        proxy: What `fitting` is.
    """
    ordered = np.sort(fitting)
    total = len(ordered)
    edges: list[float] = []
    begin = 0
    for number in range(1, wanted):
        due = max(1, round(total * number / wanted))
        # Images of one difficulty stay together: the edge goes to the nearer end of them.
        ends = [int(np.searchsorted(ordered, ordered[due - 1], side)) for side in ("left", "right")]
        at = min(ends, key=lambda end: abs(end - due))
        if min(at - begin, total - at) >= max(least * total, 1):
            edges.append(_between(ordered[at - 1], ordered[at]))
            begin = at
    return Strata(tuple(edges), proxy)


def _between(low: np.float32, high: np.float32) -> float:
    """A float32 above `low` and at most `high`, half-way where there is room."""
    middle = np.float32((float(low) + float(high)) / 2)
    return float(middle if middle > low else high)
