"""From a classifier and held-out images to a bundle: fit the scorer, calibrate it, say what it rests on, write it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from detector.bundle import Bundle, BundleParts, CalibrationSummary, Manifest, write_bundle
from detector.bundle.contents import CONTACT_SHEET, REPORT
from detector.bundle.writing import check_free
from detector.calibration.checks import check_amount, check_classes_reach, check_labels
from detector.calibration.fitting import ScorerFits
from detector.calibration.hardening import adaptive_successes
from detector.calibration.measuring import Measurements
from detector.calibration.report import render_report
from detector.calibration.stratifying import draw_strata
from detector.calibration.tuning.search import tune
from detector.conformal import ConformalCalibration
from detector.detector import Detector
from detector.errors import CalibrationError
from detector.metrics import auroc
from detector.pictures import contact_sheet
from detector.prototypes.quality import roughness
from detector.versions import tool_versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.options import CalibrationOptions
    from detector.calibration.tuning.decisions import TuningDecision
    from detector.calibration.tuning.search import Tuning
    from detector.classifiers.base import Float32Array
    from detector.progress import Progress
    from detector.scoring.fitted import FittedScorer
    from detector.shards.base import ShardRunner
    from detector.strata import Strata


@dataclass(frozen=True)
class CalibrationResult:
    """A finished calibration.

    Args:
        path: The bundle.
        digest: Its digest.
        manifest: What it says of itself.
        decisions: What was chosen for it by measurement.
    """

    path: Path
    digest: str
    manifest: Manifest
    decisions: tuple[TuningDecision, ...] = ()


def calibrate(
    inputs: CalibrationInputs,
    options: CalibrationOptions,
    out: Path,
    *,
    progress: Progress,
    overwrite: bool = False,
    measured: Measurements | None = None,
    tuning: Tuning | None = None,
    runner: ShardRunner | None = None,
) -> CalibrationResult:
    """Calibrate a detector and write its bundle.

    Finished stages are kept beside `out` in ``.<name>.work`` until the bundle is written; a calibration that was
    interrupted goes on from them. The same inputs, options and seed give the same bundle digest.

    Args:
        inputs: What is calibrated.
        options: How. Where they leave something to tuning, it is chosen first.
        out: The bundle folder to make.
        progress: Watches.
        overwrite: Replace a bundle that is there.
        measured: What was measured already, of the same inputs and options; its stages are kept. None measures here.
        tuning: What was chosen already, to be recorded: `options` and `measured` are as it says but for what it does
            not choose.
        runner: Runs the shards of what is measured here; None runs them in this process.

    Raises:
        CalibrationError: The data does not fit; nothing is written.
        BundleError: `out` is taken or can't be written.
    """
    check_free(out, overwrite=overwrite)
    if options.hardening_images and inputs.loaded.model is None:
        raise CalibrationError("--harden takes the classifier's own graph apart, and a remote classifier shows none")
    own = measured or Measurements(inputs, options, out.parent / f".{out.name}.work", progress, runner)
    if options.tuning is not None:
        check_amount(len(inputs.images.pixels), options)
        tuning = tune(own)
        options, own = tuning.options, tuning.measured
    run = _Calibration(inputs, options, out, progress, own, tuning=tuning)
    if options.hardening_images and not own.supervised:
        progress.note("not hardened: the one-class scorer learns from no attack")
    elif options.hardening_images:
        for turn in range(options.hardening_rounds):
            further = {**run.further, **run.broken(turn)}
            run = _Calibration(inputs, options, out, progress, own, tuning=tuning, further=further)
    result = run.write(overwrite=overwrite)
    if measured is None:
        own.store.clear()
    return result


class _Calibration:
    """One calibration under way."""

    def __init__(
        self,
        inputs: CalibrationInputs,
        options: CalibrationOptions,
        out: Path,
        progress: Progress,
        measured: Measurements,
        *,
        tuning: Tuning | None = None,
        further: Mapping[str, Float32Array] | None = None,
    ) -> None:
        check_amount(len(inputs.images.pixels), options)
        self.inputs, self.options, self.out, self.progress = inputs, options, out, progress
        self.classifier = inputs.loaded.classifier
        self.measured = measured
        self.tuning = tuning
        self.further = further or {}
        self.warnings: list[str] = []

    @cached_property
    def scorer(self) -> FittedScorer:
        return ScorerFits(self.measured, seed=self.options.seed).fit(further=self.further)

    @cached_property
    def drawn(self) -> tuple[Strata, list[str]]:
        """Strata of difficulty, and what the user is to be warned of."""
        split = self.measured.split
        return draw_strata(self.measured.logits[split.fit], len(split.calibration), self.options)

    @cached_property
    def calibration(self) -> ConformalCalibration:
        rows, (strata, _) = self.measured.split.calibration, self.drawn
        scores = self.scorer.score(self.measured.benign[rows])
        return ConformalCalibration.of(scores, self.measured.logits[rows], strata, self.options.prior_strength)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """int64 (strata, classes): calibration images by stratum of difficulty and predicted class."""
        return self.drawn[0].counts(self.measured.logits[self.measured.split.calibration])

    @cached_property
    def held_out_scores(self) -> dict[str, Float32Array]:
        """Per attack: scores of the attacked images that the scorer was not fitted on."""
        held_out = self.measured.attacked_features(held_out=True)
        return {name: self.scorer.score(features) for name, features in held_out.items() if len(features)}

    def broken(self, turn: int) -> dict[str, Float32Array]:
        """What an attacker who knows this guard finds, in one round of hardening (see `hardening`)."""
        bundle = Bundle(self._manifest(), self._parts(), digest="")
        return adaptive_successes(Detector(bundle), self.measured, self.options, self.progress, turn=turn)

    def write(self, *, overwrite: bool) -> CalibrationResult:
        """Run whatever is not done yet, and write the bundle."""
        self._check_data()
        manifest, parts = self._manifest(), self._parts()
        sheet = contact_sheet(self.measured.prototypes, self.inputs.labels)
        report = render_report(manifest, self.calibration, self.held_out_scores, sheet)
        attachments = {REPORT: report.encode(), CONTACT_SHEET: sheet}
        digest = write_bundle(self.out, manifest, parts, attachments=attachments, overwrite=overwrite)
        return CalibrationResult(self.out, digest, manifest, self.tuning.decisions if self.tuning else ())

    def _parts(self) -> BundleParts:
        return BundleParts(
            classifier=self.inputs.loaded.model,
            prototypes=self.measured.prototypes,
            scorer=self.scorer.model,
            calibration=self.calibration,
            canaries=self.measured.canaries,
            statistics=self.measured.statistics,
        )

    def _check_data(self) -> None:
        names = self.inputs.labels
        if self.inputs.images.labels is not None:
            self._warn(check_labels(self.measured.predicted, self.inputs.images.labels, names))
        self._warn(self.drawn[1])
        self._warn(check_classes_reach(self.counts, names, self.options))
        if self.inputs.listed is not None:
            self._warn(self.inputs.listed.warnings(self.inputs.images))

    def _warn(self, warnings: list[str]) -> None:
        self.warnings += warnings
        for warning in warnings:
            self.progress.note(f"warning: {warning}")

    def _manifest(self) -> Manifest:
        labels = self.inputs.images.labels
        return Manifest(
            spec=self.classifier.spec,
            output_kind=self.classifier.output_kind,
            labels=self.inputs.labels,
            plan=self.measured.plan,
            rates=self.options.rates,
            calibration=CalibrationSummary(
                scorer=self.scorer.name,
                images=len(self.calibration.scores),
                images_per_class=tuple(self.counts.sum(axis=0).tolist()),
                images_per_stratum=tuple(self.counts.sum(axis=1).tolist()),
                accuracy=None if labels is None else float((self.measured.predicted == labels).mean()),
                prior_strength=self.options.prior_strength,
                proxy=self.drawn[0].proxy,
                warnings=tuple(self.warnings),
                detection={
                    name: round(auroc(self.calibration.scores, scores), 4)
                    for name, scores in self.held_out_scores.items()
                },
            ),
            provenance=self._provenance(),
            files={},
            remote=self.inputs.loaded.remote,
        )

    def _provenance(self) -> dict[str, Any]:
        loaded, images = self.inputs.loaded, self.inputs.images
        rough = roughness(self.measured.prototypes.images)
        return {
            "classifier": {"source_sha256": loaded.source_digest, "notes": list(loaded.notes)},
            "gradients": self.inputs.gradients.description if self.inputs.gradients else None,
            "images": {"sha256": images.digest, "count": len(images.pixels), "skipped": len(images.skipped)},
            "options": self.options.to_json(),
            "prototypes": {
                "method": "medoids" if self.inputs.gradients is None else "synthesised",
                "largest_loss": float(self.measured.prototypes.losses.max()),
                "mean_roughness": float(rough.mean()),
            },
            "tools": tool_versions(),
            **({} if self.inputs.listed is None else {"anchors": self.inputs.listed.to_json(images)}),
            **({} if self.tuning is None else {"tuning": self.tuning.to_json()}),
        }
