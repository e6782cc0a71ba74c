"""From a classifier and held-out images to a bundle, stage by stage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attacks.library import library_available
from detector.attacks.threat_models import CALIBRATION_ATTACKS
from detector.bundle import BundleParts, CalibrationSummary, Canaries, Manifest, write_bundle
from detector.bundle.contents import CONTACT_SHEET, REPORT
from detector.bundle.writing import check_free
from detector.calibration.attacking import AttackedImages, attack_successfully, strong_enough
from detector.calibration.checks import check_amount, check_classes_reach, check_labels
from detector.calibration.options import ScorerChoice
from detector.calibration.report import render_report
from detector.calibration.split import Split, split_images
from detector.calibration.stages import StageStore
from detector.conformal import ConformalCalibration
from detector.engine import ReferenceEngine
from detector.errors import CalibrationError
from detector.evaluation.metrics import auroc
from detector.images import to_canonical
from detector.paths import Prototypes
from detector.pictures import contact_sheet
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart
from detector.prototypes.quality import prototype_losses, roughness
from detector.prototypes.synthesis import synthesis_steps, synthesise
from detector.scoring.features import profile_features
from detector.scoring.one_class import fit_one_class
from detector.scoring.supervised import fit_supervised
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.calibration.options import CalibrationOptions
    from detector.classifiers.base import Float32Array
    from detector.classifiers.loading import LoadedClassifier
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.profiles import PathPlan
    from detector.progress import Progress
    from detector.scoring.fitted import FittedScorer

_CHUNK = 256
_CANARIES = 8
_HELD_OUT_ATTACKS = 4  # every fourth attacked image is kept from the scorer, to measure detection


@dataclass(frozen=True)
class CalibrationInputs:
    """What is calibrated.

    Args:
        loaded: The classifier.
        gradients: Answers like it and has gradients; None where there are none.
        images: Held-out images, labels (if any) aligned with the classifier's classes.
        labels: One name per class.
    """

    loaded: LoadedClassifier
    gradients: TorchClassifier | None
    images: ImageSet
    labels: tuple[str, ...]


@dataclass(frozen=True)
class CalibrationResult:
    """A finished calibration.

    Args:
        path: The bundle.
        digest: Its digest.
        manifest: What it says of itself.
    """

    path: Path
    digest: str
    manifest: Manifest


@dataclass(frozen=True)
class _Profiled:
    """Images after the walk: features, and the predicted class of each."""

    features: Float32Array
    predicted: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> _Profiled:
        return _Profiled(self.features[rows], self.predicted[rows])


def calibrate(
    inputs: CalibrationInputs,
    options: CalibrationOptions,
    out: Path,
    *,
    progress: Progress,
    overwrite: bool = False,
) -> CalibrationResult:
    """Calibrate a detector and write its bundle.

    Finished stages are kept beside `out` in ``.<name>.work`` until the bundle is written; a calibration that was
    interrupted goes on from them. The same inputs, options and seed give the same bundle digest.

    Args:
        inputs: What is calibrated.
        options: How.
        out: The bundle folder to make.
        progress: Watches.
        overwrite: Replace a bundle that is there.

    Raises:
        CalibrationError: The data does not fit; nothing is written.
        BundleError: `out` is taken or can't be written.
    """
    check_free(out, overwrite=overwrite)
    run = _Calibration(inputs, options, out, progress)
    result = run.write(overwrite=overwrite)
    run.store.clear()
    return result


class _Calibration:
    """One calibration under way."""

    def __init__(self, inputs: CalibrationInputs, options: CalibrationOptions, out: Path, progress: Progress) -> None:
        self.inputs, self.options, self.out, self.progress = inputs, options, out, progress
        self.classifier = inputs.loaded.classifier
        self.plan: PathPlan = options.plan(self.classifier.spec)
        check_amount(len(inputs.images.pixels), options)
        self.store = StageStore(out.parent / f".{out.name}.work", self._identity())
        self.warnings: list[str] = []

    def _identity(self) -> dict[str, Any]:
        """All that decides every stage."""
        return {
            "classifier": hashlib.sha256(self.inputs.loaded.model).hexdigest(),
            "gradients": self.inputs.gradients.description if self.inputs.gradients else None,
            "images": self.inputs.images.digest,
            "image_spec": self.classifier.spec.to_json(),
            "options": self.options.to_json(),
            "tools": tool_versions(),
        }

    @cached_property
    def images(self) -> Float32Array:
        return to_canonical(self.inputs.images.pixels, self.classifier.spec.shape)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        with self.progress.stage("Classifying images", len(self.images)) as advance:
            chunks = []
            for begin in range(0, len(self.images), _CHUNK):
                logits = self.classifier.logits(self.images[begin : begin + _CHUNK])
                chunks.append(np.argmax(logits, axis=1))
                advance(len(logits))
        return np.concatenate(chunks)

    @cached_property
    def split(self) -> Split:
        labels = self.inputs.images.labels
        return split_images(self.predicted if labels is None else labels, self.options.fit_fraction, self.options.seed)

    @property
    def truth(self) -> NDArray[np.int64]:
        """Labels where there are any, else what the classifier says."""
        return self.predicted if self.inputs.images.labels is None else self.inputs.images.labels

    @cached_property
    def supervised(self) -> bool:
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
        arrays, found = self.store.run("prototypes", self._make_prototypes)
        if found:
            self.progress.note("prototypes: found, from an earlier run")
        return Prototypes(arrays["images"], arrays["losses"])

    def _make_prototypes(self) -> dict[str, NDArray[Any]]:
        options, gradients = self.options.prototypes, self.inputs.gradients
        if gradients is None:
            self.progress.note("prototypes: no gradients, so real images (class medoids) stand in for synthetic ones")
            rows = self.split.fit
            images, predicted = self.images[rows], self.predicted[rows]
            made = medoids(self.classifier, images, predicted, options.per_class, labels=self.inputs.labels)
        else:
            steps = synthesis_steps(len(self.inputs.labels), options)
            with self.progress.stage("Synthesising prototypes", steps) as advance:
                made = synthesise(gradients, options, class_means=self._class_means(), on_progress=advance)
        return {"images": made.images, "losses": prototype_losses(self.classifier, made.images)}

    def _class_means(self) -> Float32Array | None:
        if self.options.prototypes.start is not PrototypeStart.CLASS_MEAN:
            return None
        rows = self.split.fit
        overall = self.images[rows].mean(axis=0)
        means = [self.images[rows][self.truth[rows] == c] for c in range(len(self.inputs.labels))]
        return np.stack([m.mean(axis=0) if len(m) else overall for m in means]).astype(np.float32)

    @cached_property
    def benign(self) -> _Profiled:
        return self._profiled("benign images", self.images, {})

    def _profiled(self, title: str, images: Float32Array, depends: dict[str, Any]) -> _Profiled:
        def walk() -> dict[str, NDArray[Any]]:
            engine = ReferenceEngine(self.classifier, self.prototypes, self.plan)
            features, predicted = [], []
            with self.progress.stage(f"Walking paths of {title}", len(images)) as advance:
                for begin in range(0, len(images), _CHUNK):
                    profile = engine.profile(images[begin : begin + _CHUNK])
                    features.append(profile_features(profile))
                    predicted.append(profile.predicted)
                    advance(len(profile.logits))
            return {"features": np.concatenate(features), "predicted": np.concatenate(predicted)}

        arrays, _ = self.store.run(f"profiles of {title}", walk, **depends)
        return _Profiled(arrays["features"], arrays["predicted"])

    @cached_property
    def attacked(self) -> dict[str, tuple[_Profiled, NDArray[np.int64]]]:
        """Per attack: the profiles of its successes, and which attacked image each came from."""
        gradients = self.inputs.gradients
        if not self.supervised or gradients is None:
            return {}
        right = self.split.fit[self.predicted[self.split.fit] == self.truth[self.split.fit]]
        sources = right[: self.options.attack_images]
        images, labels = self.images[sources], self.truth[sources]
        done = {}
        for given in CALIBRATION_ATTACKS:
            model = strong_enough(given, self.classifier, gradients, images, labels, seed=self.options.seed)
            if model != given:
                self.progress.note(f"{given.name} moves too few images; using {model.name}")
            moved = self._attack(model, gradients, images, labels)
            if len(moved.rows):
                done[model.name] = (self._profiled(model.name, moved.images, {"attack": model.name}), moved.rows)
            self.progress.note(f"{model.name}: {len(moved.rows)} of {len(images)} images moved")
        return done

    def _attack(
        self, model: Any, gradients: TorchClassifier, images: Float32Array, labels: NDArray[np.int64]
    ) -> AttackedImages:
        def attack() -> dict[str, NDArray[Any]]:
            with self.progress.stage(f"Attacking: {model.name}", len(images)) as advance:
                moved = attack_successfully(
                    model, self.classifier, gradients, images, labels, seed=self.options.seed, on_progress=advance
                )
            return {"images": moved.images, "rows": moved.rows}

        arrays, _ = self.store.run(f"attack {model.name}", attack, attack=model.name)
        return AttackedImages(arrays["images"], arrays["rows"])

    @cached_property
    def scorer(self) -> FittedScorer:
        benign = self.benign.features[self.split.fit]
        if not self.supervised:
            return fit_one_class(benign)
        training = {
            name: profiled.features[rows % _HELD_OUT_ATTACKS != 0] for name, (profiled, rows) in self.attacked.items()
        }
        return fit_supervised(benign, training, seed=self.options.seed)

    @cached_property
    def calibration(self) -> ConformalCalibration:
        held_out = self.benign.take(self.split.calibration)
        return ConformalCalibration(
            self.scorer.score(held_out.features), held_out.predicted, self.options.prior_strength
        )

    @cached_property
    def held_out_scores(self) -> dict[str, Float32Array]:
        """Per attack: scores of the attacked images that the scorer was not fitted on."""
        held_out = {
            name: profiled.features[rows % _HELD_OUT_ATTACKS == 0] for name, (profiled, rows) in self.attacked.items()
        }
        return {name: self.scorer.score(features) for name, features in held_out.items() if len(features)}

    def write(self, *, overwrite: bool) -> CalibrationResult:
        """Run whatever is not done yet, and write the bundle."""
        self._check_data()
        manifest = self._manifest()
        parts = BundleParts(
            classifier=self.inputs.loaded.model,
            prototypes=self.prototypes,
            scorer=self.scorer.model,
            calibration=self.calibration,
            canaries=self._canaries(),
        )
        sheet = contact_sheet(self.prototypes, self.inputs.labels)
        report = render_report(manifest, self.calibration, self.held_out_scores, sheet)
        attachments = {REPORT: report.encode(), CONTACT_SHEET: sheet}
        digest = write_bundle(self.out, manifest, parts, attachments=attachments, overwrite=overwrite)
        return CalibrationResult(self.out, digest, manifest)

    def _check_data(self) -> None:
        names = self.inputs.labels
        if self.inputs.images.labels is not None:
            self._warn(check_labels(self.predicted, self.inputs.images.labels, names))
        per_class = np.bincount(self.predicted[self.split.calibration], minlength=len(names))
        self._warn(check_classes_reach(per_class.tolist(), names, self.options))

    def _warn(self, warnings: list[str]) -> None:
        self.warnings += warnings
        for warning in warnings:
            self.progress.note(f"warning: {warning}")

    def _canaries(self) -> Canaries:
        images = self.images[self.split.calibration[:_CANARIES]]
        return Canaries(images, self.classifier.logits(images))

    def _manifest(self) -> Manifest:
        labels = self.inputs.images.labels
        per_class = np.bincount(self.calibration.classes, minlength=len(self.inputs.labels))
        return Manifest(
            spec=self.classifier.spec,
            output_kind=self.classifier.output_kind,
            labels=self.inputs.labels,
            plan=self.plan,
            rates=self.options.rates,
            calibration=CalibrationSummary(
                scorer=self.scorer.name,
                images=len(self.calibration.scores),
                images_per_class=tuple(per_class.tolist()),
                accuracy=None if labels is None else float((self.predicted == labels).mean()),
                prior_strength=self.options.prior_strength,
                warnings=tuple(self.warnings),
                detection={
                    name: round(auroc(self.calibration.scores, scores), 4)
                    for name, scores in self.held_out_scores.items()
                },
            ),
            provenance=self._provenance(),
            files={},
        )

    def _provenance(self) -> dict[str, Any]:
        loaded, images = self.inputs.loaded, self.inputs.images
        rough = roughness(self.prototypes.images)
        return {
            "classifier": {"source_sha256": loaded.source_digest, "notes": list(loaded.notes)},
            "gradients": self.inputs.gradients.description if self.inputs.gradients else None,
            "images": {"sha256": images.digest, "count": len(images.pixels), "skipped": len(images.skipped)},
            "options": self.options.to_json(),
            "prototypes": {
                "method": "medoids" if self.inputs.gradients is None else "synthesised",
                "largest_loss": float(self.prototypes.losses.max()),
                "mean_roughness": float(rough.mean()),
            },
            "tools": tool_versions(),
        }
