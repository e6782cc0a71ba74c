"""What both classifiers make of the same images on the bundle's paths, and what its scorer says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.calibration.split import Split, split_images
from detector.calibration.walking import Walk
from detector.engine.base import check_features
from detector.engine.walker import PathWalker
from detector.errors import BundleError
from detector.images import to_canonical
from detector.paths.straight import Prototypes, barriers
from detector.profiles import PathKind
from detector.prototypes.quality import prototype_losses
from detector.scoring.features import profile_features
from detector.scoring.runner import OnnxScorer
from detector.shards.base import Job, LocalRunner, Models, shards
from detector.shards.jobs import Stage, run_stages
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array, UInt8Array
    from detector.progress import Advance, Progress
    from detector.shards.base import Shard
    from detector.shards.stages import Arrays
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.options import TransferOptions

_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Walked:
    """What a classifier gives for N images, walked from to the bundle's prototypes.

    Args:
        logits: float32 (N, classes), at the images themselves.
        features: float32 (N, features), as the scorer reads them.
        summaries: By name, float32 (N,): what a path profile comes to. Without a path to a prototype of the predicted
            class there are no barriers.
        scores: float32 (N,), nats; None where the scorer can't read the features.
    """

    logits: Float32Array
    features: Float32Array
    summaries: dict[str, Float32Array]
    scores: Float32Array | None

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the predicted classes."""
        return np.argmax(self.logits, axis=1)

    def take(self, rows: NDArray[np.int64]) -> Walked:
        """The same of some of the images."""
        summaries = {name: values[rows] for name, values in self.summaries.items()}
        scores = None if self.scores is None else self.scores[rows]
        return Walked(self.logits[rows], self.features[rows], summaries, scores)


class TransferMeasurements:
    """All that is measured by walking, each when it is first asked for; finished work is found again.

    Args:
        inputs: The bundle, both classifiers and the sample.
        options: How.
        folder: Where finished work is kept.
        progress: Watches.
    """

    def __init__(self, inputs: TransferInputs, options: TransferOptions, folder: Path, progress: Progress) -> None:
        self.inputs, self.options, self.progress = inputs, options, progress
        identity = {"bundle": inputs.bundle.digest, **inputs.new.identity()}
        self.store = StageStore(folder, identity)

    @property
    def bundle(self) -> Bundle:
        """What is carried over."""
        return self.inputs.bundle

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (N,): what the sample shows."""
        labels = self.inputs.sample.labels
        assert labels is not None, "load_transfer_inputs refuses images without labels"
        return labels

    @cached_property
    def split(self) -> Split:
        """The sample in two: `calibration` sets new thresholds, `fit` checks them."""
        return split_images(self.labels, 1 - self.options.calibration_share, self.options.seed)

    @cached_property
    def prototypes(self) -> Prototypes:
        """The bundle's, with their losses under the new classifier."""
        images = self.bundle.parts.prototypes.images
        return replace(self.bundle.parts.prototypes, losses=prototype_losses(self.inputs.classifier, images))

    @cached_property
    def kept_prototypes(self) -> NDArray[np.bool_]:
        """(classes, per_class): which prototypes the new classifier assigns to their class with a low loss.

        Low is at most the bar, or what it was: where real images stand in for prototypes it may have been more.
        """
        images = self.bundle.parts.prototypes.images
        logits = self.inputs.classifier.logits(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1)
        assigned = logits.argmax(axis=-1) == np.arange(len(images))[:, None]
        allowed = np.maximum(self.options.prototype_loss, self.bundle.parts.prototypes.losses)
        return assigned & (self.prototypes.losses <= allowed)

    @cached_property
    def misfit(self) -> str | None:
        """Why the scorer can't read what the new classifier gives; None where it can."""
        try:
            check_features(self.bundle, scorer=self.scorer.features, taps=self.inputs.classifier.tap_count)
        except BundleError as error:
            blind = self.bundle.manifest.plan.tapped and not self.inputs.classifier.tap_count
            return f"{error}: it reads hidden layers, and the new classifier shows none" if blind else str(error)
        return None

    @cached_property
    def scorer(self) -> OnnxScorer:
        """The bundle's scorer."""
        return OnnxScorer(self.bundle.parts.scorer)

    @cached_property
    def old(self) -> Walked:
        """The old classifier on the sample."""
        return self._walked("old", self.inputs.old.classifier, self.bundle.parts.prototypes)

    @cached_property
    def new(self) -> Walked:
        """The new classifier on the sample."""
        return self._walked("new", self.inputs.classifier, self.prototypes)

    def p_values(self, walked: Walked) -> NDArray[np.float64]:
        """float64 (N,), at the bundle's own thresholds, of what was scored."""
        assert walked.scores is not None, "only what was scored has p-values"
        calibration = self.bundle.parts.calibration
        return calibration.p_values(walked.scores, walked.predicted, calibration.strata.difficulty(walked.logits))

    def scores_of(self, classifier: Classifier, prototypes: Prototypes, images: Float32Array) -> Float32Array:
        """float32 (n,): what the scorer says of other images, float32 (n, channels, height, width)."""
        profile = PathWalker(classifier, prototypes, self.bundle.manifest.plan).profile(images)
        return self.scorer.score(profile_features(profile, self.bundle.parts.statistics))

    def _walked(self, which: str, classifier: Classifier, prototypes: Prototypes) -> Walked:
        pixels = self.inputs.sample.pixels
        statistics = self.bundle.parts.statistics
        fits = statistics is not None and statistics.numbers == classifier.tap_count
        walk = Walk(prototypes, self.bundle.manifest.plan, statistics if fits else None)

        def job() -> Job:
            title = f"Walking paths, {which} classifier"
            return Job(title, _walk, walk, lambda shard: _part(pixels, shard), shards(len(pixels), _CHUNK))

        runner = LocalRunner(Models(classifier, None))
        (done,) = run_stages([Stage(f"{which} profiles", job)], self.store, runner, self.progress)
        readable = self.misfit is None or which == "old"
        features = done.arrays["features"]
        names = sorted(name for name in done.arrays if name.startswith(_SUMMARY))  # found work comes in another order
        summaries = {name.removeprefix(_SUMMARY): done.arrays[name] for name in names}
        scores = self.scorer.score(features) if readable else None
        return Walked(done.arrays["logits"], features, summaries, scores)


_SUMMARY = "summary "


def _part(pixels: UInt8Array, shard: Shard) -> UInt8Array:
    return pixels[shard.rows]


def _walk(models: Models, walk: Walk, pixels: UInt8Array, advance: Advance) -> Arrays:
    images = to_canonical(pixels, models.classifier.spec.shape)
    profile = PathWalker(models.classifier, walk.prototypes, walk.plan).profile(images)
    found = {"loss at the image": profile.losses[:, 0, 0], "margin at the image": profile.margins[:, 0, 0]}
    own = [i for i, target in enumerate(walk.plan.targets) if target.kind is PathKind.PROTOTYPE]
    if own:
        between = barriers(profile, walk.prototypes)
        found |= {"barrier height": between.heights, "barrier gap": between.gaps}
        found |= {"mean loss on the way to prototypes": profile.losses[:, own].mean(axis=(1, 2))}
    advance(len(images))
    summaries = {_SUMMARY + name: values.astype(np.float32) for name, values in found.items()}
    return {"logits": profile.image_logits, "features": profile_features(profile, walk.statistics), **summaries}
