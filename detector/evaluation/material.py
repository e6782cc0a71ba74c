"""The images of an evaluation: three disjoint parts, the guard made from two of them, attacks on the third."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.running import obstacle
from detector.attacks.surrogate import train_surrogate
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import Family
from detector.calibration.attacking import attack_job, moved_images
from detector.calibration.measuring import Measurements
from detector.calibration.pipeline import calibrate
from detector.calibration.split import split_images
from detector.calibration.tuning.search import tune
from detector.detector import Detector
from detector.errors import CalibrationError
from detector.images import to_canonical, to_pixels
from detector.scoring.features import profile_features
from detector.shards.jobs import Stage, run_stages
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.attacks.running import PreparedAttack
    from detector.attacks.threat_models import ThreatModel
    from detector.calibration.attacking import Victims
    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.options import CalibrationOptions
    from detector.calibration.tuning.search import Tuning
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.detector import Detection
    from detector.evaluation.options import EvaluationOptions
    from detector.progress import Advance, Progress
    from detector.shards.base import Job, Models, ShardRunner
    from detector.shards.stages import Arrays
    from detector.strata import Strata

_TIMED = 64  # images


@dataclass(frozen=True, eq=False)
class Scored:
    """Images and what the guard says of them.

    Args:
        images: float32 (N, channels, height, width), canonical.
        detection: The answers.
        features: float32 (N, features), what the scorer read.
    """

    images: Float32Array
    detection: Detection
    features: Float32Array


@dataclass(frozen=True, eq=False)
class Attacked:
    """One attack on test images.

    Args:
        model: The attack.
        tried: How many images were attacked, the first of the material's `targets`.
        rows: int64 (M,), which of them were misclassified after rounding.
        scored: Those M images.
    """

    model: ThreatModel
    tried: int
    rows: NDArray[np.int64]
    scored: Scored


class Material:
    """Everything an evaluation measures on, each part made when it is first asked for, and kept on disk.

    Args:
        inputs: Classifier, gradients and labelled images.
        options: How.
        folder: Where stages and the bundle are kept.
        progress: Watches.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        CalibrationError: The images have no labels, or there are no gradients to attack with.
    """

    def __init__(
        self,
        inputs: CalibrationInputs,
        options: EvaluationOptions,
        folder: Path,
        progress: Progress,
        runner: ShardRunner | None = None,
    ) -> None:
        if inputs.images.labels is None:
            raise CalibrationError("an evaluation needs labelled images: which predictions are right?")
        if inputs.gradients is None:
            raise CalibrationError("an evaluation needs gradients to attack with: pass --gradients")
        self.inputs, self.options, self.progress = inputs, options, progress
        self._folder, self._runner = folder, runner
        self.gradients = inputs.gradients
        images = _drawn(inputs.images, options)
        assert images.labels is not None
        split = split_images(images.labels, options.test_fraction, options.seed)
        self.given = replace(inputs, images=images.take(split.calibration))
        self._held_out = images.take(split.fit)
        self._measured = Measurements(self.given, options.calibration, folder / "calibration", progress, runner)
        self.store = StageStore(folder / "evaluation", {"calibration": self._measured.store.identity})
        self.bundle = folder.parent / "bundle"

    @cached_property
    def tuning(self) -> Tuning | None:
        """What was chosen for the guard under test by measurement; None where nothing was to be chosen."""
        return None if self.options.calibration.tuning is None else tune(self._measured)

    @property
    def calibration(self) -> CalibrationOptions:
        """How the guard under test is calibrated, with what was chosen for it."""
        return self.options.calibration if self.tuning is None else self.tuning.options

    @property
    def measured(self) -> Measurements:
        """What the guard under test is calibrated from."""
        return self._measured if self.tuning is None else self.tuning.measured

    @cached_property
    def untuned(self) -> Material:
        """The same images and attacks, with the guard as it is without tuning."""
        options = replace(self.options, calibration=replace(self.options.calibration, tuning=None))
        other = Material(self.inputs, options, self._folder, self.progress, self._runner)
        other.bundle = self.bundle.with_name("bundle-untuned")
        return other

    @cached_property
    def detector(self) -> Detector:
        """The guard under test, calibrated on the images that do not test."""
        return self._calibrated(self.calibration, self.bundle)

    @property
    def strata(self) -> Strata:
        """The strata of difficulty that the guard under test has."""
        return self.detector.bundle.parts.calibration.strata

    @cached_property
    def milliseconds(self) -> float:
        """What the guard takes per image, on this machine."""
        images = self.benign.images[:_TIMED]
        begin = time.perf_counter()
        self.detector.score_canonical(images)
        return 1000 * (time.perf_counter() - begin) / len(images)

    @cached_property
    def hardened(self) -> tuple[Detector, Path]:
        """The same, hardened against attackers who know it, and its bundle."""
        options = replace(self.calibration, hardening_images=self.options.hardening_images)
        bundle = self.bundle.with_name("bundle-hardened")
        return self._calibrated(options, bundle), bundle

    def _calibrated(self, options: CalibrationOptions, bundle: Path) -> Detector:
        calibrate(
            self.given,
            options,
            bundle,
            progress=self.progress,
            overwrite=bundle.exists(),
            measured=self.measured,
            tuning=self.tuning,
        )
        return Detector.load(bundle)

    @property
    def scored_by(self) -> dict[str, str]:
        """What a stage that keeps the guard's answers depends on."""
        return {"bundle": self.detector.bundle.digest}

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (N,): classes of the benign test images."""
        assert self._held_out.labels is not None
        return self._held_out.labels

    @cached_property
    def benign(self) -> Scored:
        """The benign test images."""
        return self.score(to_canonical(self._held_out.pixels, self.detector.bundle.manifest.spec.shape))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Which benign test images are classified correctly: bool (N,)."""
        return self.benign.detection.predicted == self.labels

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """int64: the correctly classified test images that attacks start from, in order."""
        return np.flatnonzero(self.right)[: self.options.attack_images]

    @cached_property
    def attacked(self) -> dict[str, Attacked]:
        """Every attack that can be run and moved an image, by name."""
        models = [model for model in self.options.models if self._runnable(model)]
        stages = [self._attack(model) for model in models]
        moved = {
            done.number: to_canonical(done.arrays["pixels"], self.gradients.spec.shape)
            for done in run_stages(stages, self.store, self.measured.runner, self.progress)
        }
        judged = {model.name: self._judged(model, moved[number]) for number, model in enumerate(models)}
        return {name: attacked for name, attacked in judged.items() if attacked is not None}

    @cached_property
    def surrogate(self) -> TorchClassifier:
        """The transfer attacker's own classifier, trained on images of calibration and the answers to them."""
        images = to_canonical(self.given.images.pixels, self.gradients.spec.shape)
        self.progress.note("training the transfer attacker's surrogate")
        return train_surrogate(images, self.measured.predicted, len(self.given.labels))

    def score(self, images: Float32Array) -> Scored:
        """Let the guard score canonical images, keeping what its scorer read."""
        detection = self.detector.score_canonical(images)
        return Scored(images, detection, profile_features(detection.profile, self.detector.bundle.parts.statistics))

    def _target(self, model: ThreatModel) -> AttackTarget:
        rows = self.targets[: self.options.images_for(model)]
        return AttackTarget(self.gradients, self.benign.images[rows], self.labels[rows])

    def _runnable(self, model: ThreatModel) -> bool:
        """Whether an attack can be run here; a note says why not."""
        reason = None if model.family is Family.TRANSFER else obstacle(model, self._target(model))
        if reason:
            self.progress.note(f"left out: {reason}")
        return not reason

    def _attack(self, model: ThreatModel) -> Stage:
        target = self._target(model)

        def job() -> Job:
            # The surrogate takes minutes to train, and is not needed where the attack's images are found.
            able = replace(target, surrogate=self.surrogate) if model.family is Family.TRANSFER else target
            title = f"Attacking test images: {model.name}"
            return attack_job(model, able, seed=self.options.seed + 1, title=title, compute=_keep_all)

        depends = {"images": len(target.images), "seed": self.options.seed}
        return Stage(f"test attack {model.name}", job, depends)

    def _judged(self, model: ThreatModel, images: Float32Array) -> Attacked | None:
        """An attack as the classifier and the guard see it; None if it moved no image."""
        labels = self.labels[self.targets[: len(images)]]
        moved = np.flatnonzero(self.inputs.loaded.classifier.logits(images).argmax(axis=1) != labels)
        self.progress.note(f"{model.name}: {len(moved)} of {len(images)} test images moved")
        return Attacked(model, len(images), moved, self.score(images[moved])) if len(moved) else None


def _keep_all(models: Models, attack: PreparedAttack, victims: Victims, advance: Advance) -> Arrays:
    """A shard's work: all attacked images, in 256 levels, as `pixels`."""
    pixels = to_pixels(moved_images(models, attack, victims))
    advance(len(pixels))
    return {"pixels": pixels}


def _drawn(images: ImageSet, options: EvaluationOptions) -> ImageSet:
    """The images that are used, in their order."""
    count = len(images.pixels)
    if options.most_images is None or count <= options.most_images:
        return images
    return images.take(np.sort(np.random.default_rng(options.seed).permutation(count)[: options.most_images]))
