"""The paper's comparison of barriers between pairs of images, with the control its reviewers missed.

Vrabel et al. (arXiv 2409.05800, Sec. 4.2) find higher barriers on straight paths between a real and an adversarial
image of one predicted class than between two real images of it. Their adversarial images start in another class, so
the comparison leaves open whether attacks or other classes' content raise the barrier: two real images of different
classes tell. Unlike the authors, who leave pixels normalised and unbounded, paths run between canonical images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import DataError
from detector.metrics import auroc
from detector.paths import Barriers, interpolate
from detector.profiles import path_losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array

ALPHAS: Final = tuple(i / 24 for i in range(25))
"""Where paths are measured, both ends included."""
SAME_CLASS: Final = "two real images of one class"
DIFFERENT_CLASSES: Final = "two real images of different classes"
_BATCH: Final = 16  # pairs at a time, 25 forwards each


@dataclass(frozen=True, kw_only=True)
class PairBarriers:
    """Barriers of one kind of pair.

    Args:
        name: Of the kind.
        pairs: How many; 0 leaves the other values None.
        median_height: Nats.
        median_gap: Nats.
        auroc_gap_vs_same_class: The chance that such a pair's gap is larger than one of two real images of one class,
            0..1; None for these themselves.
    """

    name: str
    pairs: int
    median_height: float | None
    median_gap: float | None
    auroc_gap_vs_same_class: float | None


def pair_barriers(
    classifier: Classifier, starts: Float32Array, ends: Float32Array, classes: NDArray[np.int64]
) -> Barriers:
    """Barriers on straight paths between images, measured at `ALPHAS`.

    Args:
        classifier: What is asked.
        starts: float32 (P, C, H, W), canonical.
        ends: float32 (P, C, H, W), canonical.
        classes: int64 (P,), whose loss is measured on each path.

    Returns:
        Heights, the largest loss on each path, ends included, and gaps, by how much it passes the larger loss of the
        two ends; float32 (P,) nats, >= 0.
    """
    batches = [slice(begin, begin + _BATCH) for begin in range(0, len(starts), _BATCH)]
    losses = [_losses(classifier, starts[rows], ends[rows], classes[rows]) for rows in batches]
    along = np.concatenate([np.empty((0, len(ALPHAS)), np.float32), *losses])
    heights = along.max(axis=1)
    return Barriers(heights, heights - along[:, [0, -1]].max(axis=1))


def class_pairs(labels: NDArray[np.int64], seed: int, *, same: bool) -> NDArray[np.int64]:
    """Pair images at random, none of them twice, so that pairs are independent.

    Args:
        labels: int64 (N,).
        seed: Of the pairing.
        same: Whether a pair shares its class, or has two. Of one class, all images are paired but an odd one per
            class; of two, all are paired at random and pairs of one class left out.

    Returns:
        int64 (P, 2), rows of `labels`.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    if same:
        members = [order[labels[order] == label] for label in np.unique(labels)]
        order = np.concatenate([rows[: len(rows) // 2 * 2] for rows in members]) if members else order
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    return pairs[(labels[pairs[:, 0]] == labels[pairs[:, 1]]) == same]


def compare_pairs(
    classifier: Classifier,
    images: Float32Array,
    labels: NDArray[np.int64],
    adversarial: Mapping[str, Float32Array],
    seed: int,
) -> tuple[PairBarriers, ...]:
    """Measure pairs of every kind: of one class, real and adversarial, of different classes.

    Only images classified correctly take part, lest an end's own loss pass for a barrier. An adversarial image is
    paired with a random real one of the class it is taken for, which several may share; left out are those of a class
    without one. Two images of
    different classes are measured by the loss of the first one's class: its loss is large at the other end, so their
    heights are large and their gaps small by construction.

    Args:
        classifier: What is asked.
        images: float32 (N, C, H, W), canonical, real.
        labels: int64 (N,).
        adversarial: By the attack's name, the images it made, float32 (M, C, H, W), canonical; its successes,
            be there none.
        seed: Of the pairing.

    Returns:
        Pairs of one class, of real and adversarial images per attack, of different classes.

    Raises:
        DataError: No two images of one class are classified correctly.
    """
    right = np.argmax(classifier.logits(images), axis=1) == labels
    images, labels = images[right], labels[right]
    pairs = class_pairs(labels, seed, same=True)
    if not len(pairs):
        raise DataError("images: no two of one class are classified correctly, so there are no barriers to compare to")
    same = pair_barriers(classifier, images[pairs[:, 0]], images[pairs[:, 1]], labels[pairs[:, 0]])
    rows = [_summary(SAME_CLASS, same, None)]
    for name, attacked in adversarial.items():
        taken = np.argmax(classifier.logits(attacked), axis=1) if len(attacked) else np.empty(0, np.int64)
        partners = _of_class(taken, labels, seed)
        found = pair_barriers(
            classifier, images[partners[partners >= 0]], attacked[partners >= 0], taken[partners >= 0]
        )
        rows.append(_summary(f"a real image and one of {name}", found, same))
    pairs = class_pairs(labels, seed, same=False)
    different = pair_barriers(classifier, images[pairs[:, 0]], images[pairs[:, 1]], labels[pairs[:, 0]])
    return (*rows, _summary(DIFFERENT_CLASSES, different, same))


def _losses(
    classifier: Classifier, starts: Float32Array, ends: Float32Array, classes: NDArray[np.int64]
) -> Float32Array:
    """float32 (P, alphas): the class's loss along the path."""
    points = interpolate(starts, ends[:, None], ALPHAS)
    logits = classifier.logits(points.reshape(-1, *starts.shape[1:]))
    return path_losses(logits.reshape(len(starts), len(ALPHAS), -1), classes)


def _of_class(wanted: NDArray[np.int64], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """int64 (M,): for each class wanted, a random row of `labels` that has it, or -1."""
    rng = np.random.default_rng(seed)
    rows = {label: np.flatnonzero(labels == label) for label in np.unique(wanted)}
    return np.array([rng.choice(rows[label]) if len(rows[label]) else -1 for label in wanted], np.int64)


def _summary(name: str, found: Barriers, same: Barriers | None) -> PairBarriers:
    if not len(found.gaps):
        return PairBarriers(name=name, pairs=0, median_height=None, median_gap=None, auroc_gap_vs_same_class=None)
    return PairBarriers(
        name=name,
        pairs=len(found.gaps),
        median_height=float(np.median(found.heights)),
        median_gap=float(np.median(found.gaps)),
        auroc_gap_vs_same_class=None if same is None else auroc(same.gaps, found.gaps),
    )
