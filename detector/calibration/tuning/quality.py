"""How good something is, and how sure that one thing is better than another on the same images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import Estimate, placements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

_NORMAL_95 = 1.959964


@dataclass(frozen=True, eq=False)
class Quality:
    """A quality between 0 and 1, higher is better, with what each image has to do with it.

    Args:
        value: The quality.
        influence: float64 (images,): by how much the quality would change with an image's weight, over their number:
            its error is the root of their squares' sum. Two qualities of the same images share most of their error;
            that of their difference comes from the difference of their influences.
        parts: What `value` is the mean of, by name; empty where it is no mean.
    """

    value: float
    influence: NDArray[np.float64]
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def estimate(self) -> Estimate:
        """With its 95 % interval, clipped to [0, 1]."""
        half = _NORMAL_95 * _norm(self.influence)
        return Estimate(self.value, max(0.0, self.value - half), min(1.0, self.value + half))

    def behind(self, other: Quality) -> tuple[float, float]:
        """By how much it is worse than another of the same images, and that difference's standard error."""
        return other.value - self.value, _norm(other.influence - self.influence)


def _norm(influence: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(influence).sum()))


@dataclass(frozen=True, eq=False)
class Contest:
    """One attack's images against benign ones, both scored by the same scorer, which was fitted on neither.

    Args:
        attack: Its name.
        benign: float32 (N,), scores.
        benign_images: int64 (N,), which images they are.
        attacked: float32 (M,), scores.
        attacked_images: int64 (M,), which images they were made from.
    """

    attack: str
    benign: Float32Array
    benign_images: NDArray[np.int64]
    attacked: Float32Array
    attacked_images: NDArray[np.int64]


def mean_auroc(contests: Sequence[Contest], images: int) -> Quality:
    """The mean AUROC of attacks, each counting the same.

    An image that has a part in several attacks, or that is benign here and attacked there, is one image: what it does
    is added up before it is squared.

    Args:
        contests: At least one, none without images, each of another attack.
        images: How many images there are.
    """
    influence = np.zeros(images)
    values: dict[str, float] = {}
    for contest in contests:
        caught = placements(contest.attacked, np.sort(contest.benign))
        passed = 1 - placements(contest.benign, np.sort(contest.attacked))
        value = float(caught.mean())
        values[contest.attack] = value
        np.add.at(influence, contest.attacked_images, (caught - value) / len(caught))
        np.add.at(influence, contest.benign_images, (passed - value) / len(passed))
    return Quality(float(np.mean(list(values.values()))), influence / len(contests), values)


def jackknifed(value: float, without: Sequence[float]) -> Quality:
    """A quality from what it is without each of several equal groups of images in turn.

    Args:
        value: The quality with all images.
        without: The quality without each group.
    """
    left = np.asarray(without, np.float64)
    influence = np.sqrt((len(left) - 1) / len(left)) * (left - left.mean())
    return Quality(value, influence)
