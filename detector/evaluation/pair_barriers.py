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
from detector.paths.curves import loss_curves
from detector.paths.pairing import class_pairs, of_class
from detector.paths.samples import BarrierSample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array

POINTS: Final = 25
"""At which paths are measured, evenly, both ends included."""
SAME_CLASS: Final = "two real images of one class"
DIFFERENT_CLASSES: Final = "two real images of different classes"


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
    same = _measured(classifier, images[pairs[:, 0]], images[pairs[:, 1]], labels[pairs[:, 0]])
    rows = [_summary(SAME_CLASS, same, None)]
    for name, attacked in adversarial.items():
        taken = np.argmax(classifier.logits(attacked), axis=1) if len(attacked) else np.empty(0, np.int64)
        partners = of_class(taken, labels, seed)
        found = _measured(classifier, images[partners[partners >= 0]], attacked[partners >= 0], taken[partners >= 0])
        rows.append(_summary(f"a real image and one of {name}", found, same))
    pairs = class_pairs(labels, seed, same=False)
    different = _measured(classifier, images[pairs[:, 0]], images[pairs[:, 1]], labels[pairs[:, 0]])
    return (*rows, _summary(DIFFERENT_CLASSES, different, same))


def _measured(
    classifier: Classifier, starts: Float32Array, ends: Float32Array, classes: NDArray[np.int64]
) -> BarrierSample:
    return BarrierSample.of(loss_curves(classifier, starts, ends, classes, points=POINTS), classes)


def _summary(name: str, found: BarrierSample, same: BarrierSample | None) -> PairBarriers:
    if not len(found):
        return PairBarriers(name=name, pairs=0, median_height=None, median_gap=None, auroc_gap_vs_same_class=None)
    return PairBarriers(
        name=name,
        pairs=len(found),
        median_height=float(np.median(found.heights)),
        median_gap=float(np.median(found.gaps)),
        auroc_gap_vs_same_class=None if same is None else auroc(same.gaps, found.gaps),
    )
