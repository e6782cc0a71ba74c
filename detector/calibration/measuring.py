"""What a calibration measures: predictions, prototypes, path profiles of benign and of attacked images.

Each measurement that takes long is a stage of the store, found again after an interruption.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attacks.libraries import library_available
from detector.attacks.running import obstacle
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import Knowledge, Norm
from detector.calibration.attacking import AttackedImages, attack_successfully, strong_enough
from detector.calibration.options import ScorerChoice
from detector.calibration.split import Split, split_images
from detector.calibration.stages import StageStore
from detector.corruptions import everyday
from detector.engine.walker import PathWalker
from detector.errors import CalibrationError
from detector.images import to_canonical
from detector.paths import Prototypes
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart
from detector.prototypes.quality import prototype_losses
from detector.prototypes.synthesis import synthesis_steps, synthesise
from detector.residuals import residual_count
from detector.scoring.features import DOUBT_FEATURE, feature_names, profile_features
from detector.versions import tool_versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.attacks.threat_models import ThreatModel
    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.options import CalibrationOptions
    from detector.calibration.stages import Arrays
    from detector.classifiers.base import Float32Array
    from detector.progress import Progress

_CHUNK = 256
_HELD_OUT_ATTACKS = 4
_IDENTIFYING = 4  # images whose gradients' answers tell one gradient source from another


class Measurements:
    """All that is measured, each when it is first asked for.

    Args:
        inputs: What is calibrated.
        options: How.
        folder: Where finished stages are kept.
        progress: Watches.
    """

    def __init__(
        self, inputs: CalibrationInputs, options: CalibrationOptions, folder: Path, progress: Progress
    ) -> None:
        self._inputs, self._options, self._progress = inputs, options, progress
        self._classifier = inputs.loaded.classifier
        self.plan = options.plan(self._classifier.spec, taps=self._classifier.tap_count > 0)
        self.store = StageStore(folder, self._identity())

    def images_at(self, rows: NDArray[np.int64] | slice) -> Float32Array:
        """Canonical images, made when they are needed: a float32 copy of all of them may not fit in memory."""
        return to_canonical(self._inputs.images.pixels[rows], self._classifier.spec.shape)

    @cached_property
    def logits(self) -> Float32Array:
        """float32 (N, classes): the classifier's answers to all images."""
        return self._in_chunks("Classifying images", len(self._inputs.images.pixels), self._classify)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the predicted class of every image."""
        return np.argmax(self.logits, axis=1)

    @property
    def truth(self) -> NDArray[np.int64]:
        """int64 (N,): labels where there are any, else what the classifier says."""
        return self.predicted if self._inputs.images.labels is None else self._inputs.images.labels

    @cached_property
    def split(self) -> Split:
        """Which images fit the scorer and which calibrate."""
        return split_images(self.truth, self._options.fit_fraction, self._options.seed)

    @cached_property
    def supervised(self) -> bool:
        """Whether there are attacks to learn from, and they are wanted.

        Raises:
            CalibrationError: They are wanted, and there are no gradients to attack with.
        """
        choice, gradients = self._options.scorer, self._inputs.gradients
        if choice is ScorerChoice.SUPERVISED and gradients is None:
            raise CalibrationError("--scorer supervised needs gradients to attack with: pass --gradients")
        usable = gradients is not None and (choice is ScorerChoice.SUPERVISED or library_available())
        if choice is ScorerChoice.AUTO and not usable:
            reason = "no gradients" if gradients is None else "isthmus[attacks] is not installed"
            self._progress.note(f"fitting the one-class scorer: {reason}, so there is nothing to learn attacks from")
        return choice is not ScorerChoice.ONE_CLASS and usable

    @cached_property
    def prototypes(self) -> Prototypes:
        """Where the prototype paths lead."""
        arrays, found = self.store.run("prototypes", self._make_prototypes, options=asdict(self._options.prototypes))
        if found:
            self._progress.note("prototypes: found, from an earlier run")
        return Prototypes(arrays["images"], arrays["losses"])

    @cached_property
    def benign(self) -> Float32Array:
        """float32 (N, features): the profiles of all images, read."""
        return self._features("benign images", len(self._inputs.images.pixels), self.images_at, {})

    @cached_property
    def corrupted(self) -> Float32Array:
        """float32 (M, features): images that fit the scorer, corrupted in everyday ways; none for the one-class one."""
        copies = self._options.corrupted_copies if self.supervised else 0
        if not copies:
            return self.benign[:0]
        rows = np.tile(self.split.fit, copies)

        def images(chunk: slice) -> Float32Array:
            return everyday(self.images_at(rows[chunk]), seed=self._options.seed + chunk.start)

        return self._features("corrupted images", len(rows), images, {"copies": copies})

    @cached_property
    def moved(self) -> dict[str, tuple[ThreatModel, AttackedImages]]:
        """Per attack: what was run, and its successes among the images that fit the scorer."""
        gradients = self._inputs.gradients
        if not self.supervised or gradients is None:
            return {}
        right = self.split.fit[self.predicted[self.split.fit] == self.truth[self.split.fit]]
        sources = right[: self._options.attack_images]
        target = AttackTarget(gradients, self.images_at(sources), self.truth[sources])
        done: dict[str, tuple[ThreatModel, AttackedImages]] = {}
        known: dict[tuple[Norm, float | None], float | None] = {}
        for given in self._options.attacks:
            if reason := obstacle(given, target):
                self._progress.note(f"left out: {reason}")
                continue
            bound = (given.norm, given.budget)
            if given.knowledge is not Knowledge.WHITE_BOX and bound in known:
                # Queries are costly: what an attack with gradients needed of the same budget is not probed again.
                model = replace(given, budget=known[bound])
            else:
                model = strong_enough(given, self._classifier, target, seed=self._options.seed)
            known[bound] = model.budget
            if model.name in done:
                continue
            if model != given:
                self._progress.note(f"{given.name} moves too few images; using {model.name}")
            some = target.first(self._options.images_for(model))
            done[model.name] = (model, self._attack(model, some))
            self._progress.note(f"{model.name}: {len(done[model.name][1].rows)} of {len(some.images)} images moved")
        return done

    @cached_property
    def attacked(self) -> dict[str, tuple[Float32Array, NDArray[np.int64]]]:
        """Per attack that moved any image: the features of its successes, and which attacked image each came from."""
        return {
            name: (self._features(name, len(moved.rows), moved.images.__getitem__, self.attack_json(name)), moved.rows)
            for name, (_, moved) in self.moved.items()
            if len(moved.rows)
        }

    @property
    def doubt(self) -> int:
        """Which of the features is the loss at the image."""
        return feature_names(self.plan).index(DOUBT_FEATURE)

    @property
    def residuals(self) -> NDArray[np.int64]:
        """int64: which of the features are of noise residuals; none where they are not measured."""
        count = residual_count(self._classifier.spec.shape) if self.plan.residuals else 0
        total = self.benign.shape[1]
        return np.arange(total - count, total)

    def attacked_features(self, *, held_out: bool) -> dict[str, Float32Array]:
        """Per attack: features of every fourth attacked image, kept from the scorer to measure detection; or the rest.

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
        return {"prototypes": asdict(self._options.prototypes), "plan": self.plan.to_json()}

    def attack_json(self, name: str) -> dict[str, Any]:
        """All that decides an attack's images, JSON-ready."""
        return {
            "attack": name,
            "attack_images": self._options.attack_images,
            "work_per_attack": self._options.work_per_attack,
        }

    def _identity(self) -> dict[str, Any]:
        """What every stage depends on; what only some depend on is said with those."""
        gradients = self._inputs.gradients
        answers = gradients.logits(self.images_at(slice(_IDENTIFYING))).tobytes() if gradients else b""
        return {
            "classifier": self._inputs.loaded.identity,
            "gradients": hashlib.sha256(answers).hexdigest() if gradients else None,
            "images": self._inputs.images.digest,
            "image_spec": self._classifier.spec.to_json(),
            "fit_fraction": self._options.fit_fraction,
            "seed": self._options.seed,
            "tools": tool_versions(),
        }

    def _make_prototypes(self) -> Arrays:
        options, gradients = self._options.prototypes, self._inputs.gradients
        if gradients is None:
            self._progress.note("prototypes: no gradients, so real images (class medoids) stand in for synthetic ones")
            rows = self.split.fit
            chosen = medoids(self.logits[rows], self.predicted[rows], options.per_class, self._inputs.labels)
            images = np.stack([self.images_at(rows[of_class]) for of_class in chosen])
        else:
            steps = synthesis_steps(len(self._inputs.labels), options)
            with self._progress.stage("Synthesising prototypes", steps) as advance:
                made = synthesise(gradients, options, class_means=self._class_means(), on_progress=advance)
            images = made.images
        return {"images": images, "losses": prototype_losses(self._classifier, images)}

    def _class_means(self) -> Float32Array | None:
        if self._options.prototypes.start is not PrototypeStart.CLASS_MEAN:
            return None
        groups = [self.split.fit[self.truth[self.split.fit] == c] for c in range(len(self._inputs.labels))]
        # A class without images starts from the mean of all.
        return np.stack([self._mean(rows if len(rows) else self.split.fit) for rows in groups])

    def _mean(self, rows: NDArray[np.int64]) -> Float32Array:
        mean = self._inputs.images.pixels[rows].mean(axis=0, dtype=np.float64) / 255
        return mean.transpose(2, 0, 1).astype(np.float32)

    def _classify(self, rows: slice) -> Float32Array:
        return self._classifier.logits(self.images_at(rows))

    def _features(
        self, title: str, count: int, images: Callable[[slice], Float32Array], depends: dict[str, Any]
    ) -> Float32Array:
        def walk() -> Arrays:
            engine = PathWalker(self._classifier, self.prototypes, self.plan)

            def chunk(rows: slice) -> Float32Array:
                return profile_features(engine.profile(images(rows)))

            return {"features": self._in_chunks(f"Walking paths of {title}", count, chunk)}

        arrays, _ = self.store.run(f"profiles of {title}", walk, **self.walked_json, **depends)
        return arrays["features"]

    def _attack(self, model: ThreatModel, target: AttackTarget) -> AttackedImages:
        def attack() -> Arrays:
            seed = self._options.seed
            with self._progress.stage(f"Attacking: {model.name}", len(target.images)) as advance:
                moved = attack_successfully(model, self._classifier, target, seed=seed, on_progress=advance)
            return {"images": moved.images, "rows": moved.rows}

        arrays, _ = self.store.run(f"attack {model.name}", attack, **self.attack_json(model.name))
        return AttackedImages(arrays["images"], arrays["rows"])

    def _in_chunks(self, title: str, count: int, compute: Callable[[slice], Float32Array]) -> Float32Array:
        """Rows computed for a few images at a time, joined."""
        parts = []
        with self._progress.stage(title, count) as advance:
            for begin in range(0, count, _CHUNK):
                parts.append(compute(slice(begin, begin + _CHUNK)))
                advance(len(parts[-1]))
        return np.concatenate(parts)
