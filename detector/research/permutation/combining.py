"""Several networks as one classifier: merged, at the cost of one, and as an ensemble, at the cost of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.classifiers.ensemble import ensemble_of
from detector.errors import AnalysisError
from detector.research.permutation.barriers import BATCH
from detector.research.permutation.merging import Alignments, Merged, merge
from detector.research.permutation.merging_barriers import barrier_steps, merging_barriers

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.progress import Progress
    from detector.research.permutation.classifiers import Networks
    from detector.research.permutation.merging import MergingOptions
    from detector.research.permutation.merging_barriers import MergingBarriers
    from detector.training.data import LabelledImages

MERGED: Final = "merged"
ENSEMBLE: Final = "ensemble"
_STATISTICS_SHARE = 4  # one image in so many measures batch norms and activations
_MOST_STATISTICS = 2000
_LEAST_IMAGES = 20


@dataclass(frozen=True, eq=False)
class Combined:
    """Networks made one classifier, in two ways, and what that is worth.

    Args:
        networks: Which.
        options: How they were merged.
        merged: What became of their weights.
        barriers: What lies between them.
        classifier: The merged network.
        ensemble: Their mean logits.
        ensemble_accuracy: On the images that the barriers were measured on, 0..1.
    """

    networks: Networks
    options: MergingOptions
    merged: Merged
    barriers: MergingBarriers
    classifier: TorchClassifier
    ensemble: TorchClassifier
    ensemble_accuracy: float

    @property
    def accuracies(self) -> dict[str, float]:
        """Of each network by name, of the merged one and of the ensemble, 0..1."""
        each = {
            name: 1 - float(error) for name, error in zip(self.networks.names, self.barriers.corners[:, 1], strict=True)
        }
        return {**each, MERGED: 1 - self.barriers.merged[1], ENSEMBLE: self.ensemble_accuracy}

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return {
            "networks": list(self.networks.names),
            "options": self.options.to_json(),
            "groups": len(self.networks.spec.groups),
            "units": self.networks.spec.units,
            "batch_norms_measured": self.merged.measured,
            "accuracy": self.accuracies,
            "barriers": self.barriers.to_json(),
        }


def divided(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """Images that merging may look at (a quarter, 2,000 at most), and those that judge what comes of it.

    Raises:
        AnalysisError: They have no labels, or there are too few.
    """
    if images.labels is None:
        raise AnalysisError("images: these have no labels, and merging is judged by accuracy")
    if len(images) < _LEAST_IMAGES:
        raise AnalysisError(f"images: at least {_LEAST_IMAGES} are needed, not {len(images)}")
    count = min(len(images) // _STATISTICS_SHARE, _MOST_STATISTICS)
    count -= count % BATCH == 1  # the variance of a batch of one is none
    order = np.random.default_rng(seed).permutation(len(images))
    return images.take(order[:count]), images.take(order[count:])


def combine(
    networks: Networks,
    options: MergingOptions,
    statistics: LabelledImages,
    data: LabelledImages,
    *,
    points: int,
    progress: Progress,
) -> Combined:
    """Merge networks, put them together as an ensemble, and measure both.

    Args:
        networks: Of one architecture.
        options: How they are merged.
        statistics: What activations are compared and batch norms measured on.
        data: What is judged by; none of `statistics`.
        points: Of the lines on which barriers are measured, both ends included.
        progress: Watches.

    Raises:
        AnalysisError: The options are not for these networks.
        ClassifierError: The networks differ in their classes.
    """
    count = len(networks.states)
    options.parts(count)
    alignments = Alignments(networks, options, statistics)
    with progress.stage("Aligning networks", count) as advance:
        for number in range(count):
            alignments.of(number, to=options.reference)
            advance(1)
    merged = merge(networks, options, statistics, alignments)
    with progress.stage("Measuring barriers", barrier_steps(count, points)) as advance:
        barriers = merging_barriers(
            networks,
            merged,
            options,
            data,
            alignments=alignments,
            statistics=statistics,
            points=points,
            advance=advance,
        )
    ensemble = ensemble_of(networks.classifiers, name=ENSEMBLE)
    named = ensemble.logits(data.canonical).argmax(axis=1)
    return Combined(
        networks=networks,
        options=options,
        merged=merged,
        barriers=barriers,
        classifier=networks.classifier(merged.state, name=MERGED),
        ensemble=ensemble,
        ensemble_accuracy=float((named == data.labels).mean()),
    )
