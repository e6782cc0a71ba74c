"""What a calibration measures: predictions, prototypes, path profiles of benign and of attacked images.

Each measurement that takes long is a stage of the store, found again after an interruption.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attacks.libraries import library_available
from detector.attacks.running import obstacle
from detector.attacks.target import AttackTarget
from detector.calibration.attacking import (
    AttackedImages,
    attack_job,
    budgets_job,
    keep_successes,
    strengthened,
    worth_probing,
)
from detector.calibration.options import ScorerChoice
from detector.calibration.split import Split, split_images
from detector.calibration.walking import Walk, Walkers, classify_job, taps_job, walk_job
from detector.canaries.making import make_canaries
from detector.canaries.pool import REAL as CANDIDATES
from detector.errors import CalibrationError
from detector.images import to_canonical
from detector.paths.straight import Prototypes
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart
from detector.prototypes.quality import prototype_losses
from detector.prototypes.sharding import synthesis_job
from detector.residuals import residual_count
from detector.scoring.features import DOUBT_FEATURE, feature_names
from detector.scoring.tap_statistics import tap_statistics
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import Stage, run_jobs, run_stages
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.attacks.threat_models import ThreatModel
    from detector.bundle import Canaries
    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.options import CalibrationOptions
    from detector.classifiers.base import Float32Array
    from detector.profiles import PathPlan
    from detector.progress import Progress
    from detector.scoring.tap_statistics import TapStatistics
    from detector.shards.base import Job, ShardRunner
    from detector.shards.jobs import Finished
    from detector.shards.stages import Arrays

_HELD_OUT_ATTACKS = 6
_INDEPENDENT_OF_PATHS = ("logits", "predicted", "split", "supervised", "moved", "canaries", "_tap_statistics")


class Measurements:
    """All that is measured, each when it is first asked for.

    Args:
        inputs: What is calibrated.
        options: How.
        folder: Where finished stages are kept.
        progress: Watches.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        CalibrationError: Hidden paths are to be read, and the classifier has no taps.
    """

    def __init__(
        self,
        inputs: CalibrationInputs,
        options: CalibrationOptions,
        folder: Path,
        progress: Progress,
        runner: ShardRunner | None = None,
    ) -> None:
        self.inputs, self.options, self.progress = inputs, options, progress
        self._classifier = inputs.loaded.classifier
        self.runner = runner or LocalRunner(Models(self._classifier, inputs.gradients))
        if options.hidden_paths and not self._layers:
            raise CalibrationError("--hidden-paths reads the classifier's taps, and there are none")
        self.plan = options.plan(self._classifier.spec, taps=self._classifier.tap_count > 0)
        self.store = StageStore(folder, self._identity())

    def under(self, options: CalibrationOptions, plan: PathPlan | None = None) -> Measurements:
        """The same under other options for prototypes and paths; what does not depend on these is taken over.

        Args:
            options: The same but for prototypes, runner-ups and grid.
            plan: What is walked, if not what the options say.
        """
        other = Measurements(self.inputs, options, self.store.folder, self.progress, self.runner)
        other.plan = plan or other.plan
        for name in _INDEPENDENT_OF_PATHS:
            if name in vars(self):
                vars(other)[name] = vars(self)[name]
        return other

    def images_at(self, rows: NDArray[np.int64] | slice) -> Float32Array:
        """Canonical images, made when they are needed: a float32 copy of all of them may not fit in memory."""
        return to_canonical(self.inputs.images.pixels[rows], self._classifier.spec.shape)

    @cached_property
    def logits(self) -> Float32Array:
        """float32 (N, classes): the classifier's answers to all images."""
        ((_, arrays),) = run_jobs([classify_job(self.inputs.images.pixels)], self.runner, self.progress)
        return arrays["logits"]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the predicted class of every image."""
        return np.argmax(self.logits, axis=1)

    @property
    def truth(self) -> NDArray[np.int64]:
        """int64 (N,): labels where there are any, else what the classifier says."""
        return self.predicted if self.inputs.images.labels is None else self.inputs.images.labels

    @cached_property
    def split(self) -> Split:
        """Which images fit the scorer and which calibrate."""
        return split_images(self.truth, self.options.fit_fraction, self.options.seed)

    @cached_property
    def anchors(self) -> NDArray[np.int64]:
        """The images that fit the scorer and may stand in for a class: those that no list keeps out.

        Raises:
            CalibrationError: All of them are listed.
        """
        rows, listed = self.split.fit, self.inputs.listed
        if listed is None:
            return rows
        left = rows[~listed.among(self.inputs.images)[rows]]
        if not len(left):
            raise CalibrationError(f"{listed.source}: lists all images that fit the scorer, so no class has an anchor")
        return left

    @cached_property
    def supervised(self) -> bool:
        """Whether there are attacks to learn from, and they are wanted.

        Raises:
            CalibrationError: They are wanted, and there are no gradients to attack with.
        """
        choice, gradients = self.options.scorer, self.inputs.gradients
        if choice is ScorerChoice.SUPERVISED and gradients is None:
            raise CalibrationError("--scorer supervised needs gradients to attack with: pass --gradients")
        usable = gradients is not None and (choice is ScorerChoice.SUPERVISED or library_available())
        if choice is ScorerChoice.AUTO and not usable:
            reason = "no gradients" if gradients is None else "isthmus[attacks] is not installed"
            self.progress.note(f"fitting the one-class scorer: {reason}, so there is nothing to learn attacks from")
        return choice is not ScorerChoice.ONE_CLASS and usable

    @cached_property
    def prototypes(self) -> Prototypes:
        """Where the prototype paths lead."""
        options = self.options.prototypes
        if self.inputs.gradients is None:
            arrays, found = self.store.run("medoids", self._stand_ins, options=asdict(options))
        else:
            job = partial(synthesis_job, self.inputs.gradients, options)
            stage = Stage("prototypes", lambda: job(self._class_means()), {"options": asdict(options)})
            (done,) = self._stages([stage])
            arrays, found = done.arrays, done.found
        if found:
            self.progress.note("prototypes: found, from an earlier run")
        shape = (len(self.inputs.labels), options.per_class, *self._classifier.spec.shape)
        images = arrays["images"].reshape(shape)
        return Prototypes(images, prototype_losses(self._classifier, images))

    @property
    def statistics(self) -> TapStatistics | None:
        """Of the taps, to read hidden paths by; None where these are not read."""
        return self._tap_statistics if self.options.hidden_paths else None

    @cached_property
    def _tap_statistics(self) -> TapStatistics:
        rows, pixels = self.anchors, self.inputs.images.pixels
        ((_, arrays),) = run_jobs([taps_job(lambda part: pixels[rows[part]], len(rows))], self.runner, self.progress)
        classes = len(self.inputs.labels)
        return tap_statistics(arrays["taps"], self.predicted[rows], classes=classes, sizes=self._layers)

    @property
    def _layers(self) -> tuple[int, ...]:
        """Numbers of each tapped layer."""
        return tuple(2 * len(tap.read) for tap in self.inputs.loaded.taps)

    @cached_property
    def benign(self) -> Float32Array:
        """float32 (N, features): the profiles of all images, read."""
        pixels = self.inputs.images.pixels
        return self.walked([self.walk("benign images", len(pixels), lambda rows: Walkers(pixels[rows]), {})])[0]

    @cached_property
    def corrupted(self) -> Float32Array:
        """float32 (M, features): images that fit the scorer, corrupted in everyday ways; none for the one-class one."""
        copies = self.options.corrupted_copies if self.supervised else 0
        if not copies:
            return self.benign[:0]
        rows, pixels = np.tile(self.split.fit, copies), self.inputs.images.pixels

        def walkers(chunk: slice) -> Walkers:
            return Walkers(pixels[rows[chunk]], corrupted=self.options.seed + chunk.start)

        return self.walked([self.walk("corrupted images", len(rows), walkers, {"copies": copies})])[0]

    @property
    def sources(self) -> NDArray[np.int64]:
        """int64: the correctly classified images that fit the scorer, of which attacks take the first."""
        right = self.split.fit[self.predicted[self.split.fit] == self.truth[self.split.fit]]
        return right[: self.options.attack_images]

    @cached_property
    def moved(self) -> dict[str, tuple[ThreatModel, AttackedImages]]:
        """Per attack: what was run, and its successes among the images that fit the scorer."""
        gradients = self.inputs.gradients
        if not self.supervised or gradients is None:
            return {}
        sources = self.sources
        target = AttackTarget(gradients, self.images_at(sources), self.truth[sources])
        models = self._strong_enough(self._runnable(target), target)
        found: dict[str, AttackedImages] = {}
        for done in self._stages([self._attack(model, target) for model in models]):
            model = models[done.number]
            found[model.name] = AttackedImages(done.arrays["images"], done.arrays["rows"])
            tried = min(len(sources), self.options.images_for(model))
            self.progress.note(f"{model.name}: {len(found[model.name].rows)} of {tried} images moved")
        return {model.name: (model, found[model.name]) for model in models}

    @cached_property
    def attacked(self) -> dict[str, tuple[Float32Array, NDArray[np.int64]]]:
        """Per attack that moved any image: the features of its successes, and which attacked image each came from."""
        moved = {name: images for name, (_, images) in self.moved.items() if len(images.rows)}
        walks = [self._walk_attacked(name, images) for name, images in moved.items()]
        features = self.walked(walks)
        return {name: (read, images.rows) for (name, images), read in zip(moved.items(), features, strict=True)}

    @cached_property
    def canaries(self) -> Canaries:
        """Inputs whose answers tell this classifier from any other, calibration images among them."""
        images = self.images_at(self.split.calibration[:CANDIDATES])
        model, seed = self.inputs.loaded.model, self.options.seed
        return make_canaries(self._classifier, model, images, seed=seed, progress=self.progress)

    @property
    def doubt(self) -> int:
        """Which of the features is the loss at the image."""
        return feature_names(self.plan).index(DOUBT_FEATURE)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of all features, in order."""
        return self.names_of(self.plan)

    def names_of(self, plan: PathPlan) -> tuple[str, ...]:
        """The names of the features that a plan would give, in order."""
        hidden = len(self._layers) if self.options.hidden_paths else 0
        return feature_names(plan, self._classifier.tap_count, residual_count(self._classifier.spec.shape), hidden)

    @property
    def residuals(self) -> NDArray[np.int64]:
        """int64: which of the features are of noise residuals; none where they are not measured."""
        return np.flatnonzero([name.startswith("residual[") for name in self.feature_names])

    def attacked_features(self, *, held_out: bool) -> dict[str, Float32Array]:
        """Per attack: features of every sixth attacked image, kept from the scorer to measure detection; or the rest.

        Args:
            held_out: Whether those kept are wanted, or those the scorer is fitted on.
        """
        return {
            name: features[(rows % _HELD_OUT_ATTACKS == 0) == held_out]
            for name, (features, rows) in self.attacked.items()
        }

    @property
    def walked_json(self) -> dict[str, Any]:
        """All that decides a profile but the image, JSON-ready."""
        hidden = {"hidden_paths": True} if self.options.hidden_paths else {}
        return {"prototypes": asdict(self.options.prototypes), "plan": self.plan.to_json(), **hidden}

    def attack_json(self, name: str) -> dict[str, Any]:
        """All that decides an attack's images, JSON-ready."""
        return {
            "attack": name,
            "attack_images": self.options.attack_images,
            "work_per_attack": self.options.work_per_attack,
        }

    def _identity(self) -> dict[str, Any]:
        """What every stage depends on; what only some depend on is said with those."""
        return {**self.inputs.identity(), "fit_fraction": self.options.fit_fraction, "seed": self.options.seed}

    def _stand_ins(self) -> Arrays:
        """Real images in the place of prototypes."""
        self.progress.note("prototypes: no gradients, so real images (class medoids) stand in for synthetic ones")
        rows = self.anchors
        per_class = self.options.prototypes.per_class
        chosen = medoids(self.logits[rows], self.predicted[rows], per_class, self.inputs.labels)
        return {"images": np.stack([self.images_at(rows[of_class]) for of_class in chosen])}

    def _class_means(self) -> Float32Array | None:
        if self.options.prototypes.start is not PrototypeStart.CLASS_MEAN:
            return None
        anchors = self.anchors
        groups = [anchors[self.truth[anchors] == c] for c in range(len(self.inputs.labels))]
        # A class without images starts from the mean of all.
        return np.stack([self._mean(rows if len(rows) else anchors) for rows in groups])

    def _mean(self, rows: NDArray[np.int64]) -> Float32Array:
        mean = self.inputs.images.pixels[rows].mean(axis=0, dtype=np.float64) / 255
        return mean.transpose(2, 0, 1).astype(np.float32)

    def _runnable(self, target: AttackTarget) -> list[ThreatModel]:
        """The attacks that can be run on this classifier."""
        found = []
        for model in self.options.attacks:
            if reason := obstacle(model, target):
                self.progress.note(f"left out: {reason}")
            else:
                found.append(model)
        return found

    def _strong_enough(self, given: list[ThreatModel], target: AttackTarget) -> list[ThreatModel]:
        """The same attacks with budgets that move images, each of them once."""
        probed = worth_probing(given)
        needed = dict(zip(probed, self._budgets(probed, target), strict=True))
        models = []
        for model, strong in strengthened(given, needed):
            if strong != model:
                self.progress.note(f"{model.name} moves too few images; using {strong.name}")
            models.append(strong)
        return models

    def _budgets(self, models: list[ThreatModel], target: AttackTarget) -> list[float]:
        if not models:
            return []
        depends = {"attacks": [asdict(model) for model in models], "attack_images": self.options.attack_images}
        stage = Stage("budgets", lambda: budgets_job(models, target, seed=self.options.seed), depends)
        (done,) = self._stages([stage])
        return done.arrays["budgets"].tolist()

    def _attack(self, model: ThreatModel, target: AttackTarget) -> Stage:
        def job() -> Job:
            some = target.first(self.options.images_for(model))
            title = f"Attacking: {model.name}"
            return attack_job(model, some, seed=self.options.seed, title=title, compute=keep_successes)

        return Stage(f"attack {model.name}", job, self.attack_json(model.name))

    def walk(self, title: str, count: int, walkers: Callable[[slice], Walkers], depends: dict[str, Any]) -> Stage:
        """The stage that walks from images: `walked` runs it.

        Args:
            title: What images; names the stage.
            count: How many.
            walkers: Gives some of them.
            depends: All that decides which they are, beyond what decides every profile; JSON values.
        """

        def job() -> Job:
            return walk_job(title, Walk(self.prototypes, self.plan, self.statistics), count, walkers)

        return Stage(f"profiles of {title}", job, {**self.walked_json, **depends})

    def _walk_attacked(self, name: str, moved: AttackedImages) -> Stage:
        def walkers(rows: slice) -> Walkers:
            return Walkers(moved.images[rows])

        return self.walk(name, len(moved.rows), walkers, self.attack_json(name))

    def walked(self, stages: list[Stage]) -> list[Float32Array]:
        """Run walks: float32 (n, features) for each."""
        done = {one.number: one.arrays["features"] for one in self._stages(stages)}
        return [done[number] for number in range(len(stages))]

    def _stages(self, stages: list[Stage]) -> Iterator[Finished]:
        return run_stages(stages, self.store, self.runner, self.progress)
