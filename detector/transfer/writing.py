"""The bundle that a transfer makes: the old one around the new classifier, and a record of where it came from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.bundle import Bundle, BundleParts, read_bundle, write_bundle
from detector.bundle.contents import CONTACT_SHEET, REPORT
from detector.canaries.making import answered_anew, make_canaries
from detector.canaries.pool import REAL as CANDIDATES
from detector.detector import Detector
from detector.errors import BundleError
from detector.pictures import contact_sheet
from detector.prototypes.quality import roughness
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import CalibrationSummary, Canaries, Manifest
    from detector.transfer.decision import Decision
    from detector.transfer.evidence import Evidence
    from detector.transfer.measuring import TransferMeasurements
    from detector.transfer.thresholds import NewThresholds

TRANSFER = "transfer"
"""What a bundle's provenance records a transfer under."""
_PROBES = 16
_TOLERANCE = 1e-3  # nats, and of the score: another engine adds up in another order


def transferred(
    measured: TransferMeasurements, decision: Decision, evidence: Evidence, thresholds: NewThresholds | None
) -> Bundle:
    """The bundle around the new classifier, not yet on disk.

    Args:
        measured: What the decision rests on.
        decision: To keep, or to set thresholds anew.
        evidence: Recorded with its figures.
        thresholds: The new ones; None keeps the old ones.

    Raises:
        BundleError: It does not hold together.
    """
    old = measured.bundle
    classifier, loaded = measured.inputs.classifier, measured.inputs.new.loaded
    parts = BundleParts(
        classifier=loaded.model,
        prototypes=measured.prototypes,
        scorer=old.parts.scorer,
        calibration=old.parts.calibration if thresholds is None else thresholds.calibration,
        canaries=_canaries(measured, anew=thresholds is not None),
        statistics=old.parts.statistics,
    )
    manifest = dataclasses.replace(
        old.manifest,
        spec=classifier.spec,
        output_kind=classifier.output_kind,
        calibration=_summary(measured, thresholds),
        provenance=_provenance(measured, decision, evidence),
        files={},
        remote=loaded.remote,
    )
    bundle = Bundle(manifest, parts, digest="")
    _check(measured, _started(measured, bundle))
    return bundle


def write_transferred(
    out: Path, bundle: Bundle, measured: TransferMeasurements, report: str, *, overwrite: bool
) -> str:
    """Write the bundle, read it back and start it; the digest.

    Raises:
        BundleError: `out` is taken or can't be written, or what was written does not serve.
    """
    attachments = {
        REPORT: report.encode(),
        CONTACT_SHEET: contact_sheet(bundle.parts.prototypes, bundle.manifest.labels),
    }
    digest = write_bundle(out, bundle.manifest, bundle.parts, attachments=attachments, overwrite=overwrite)
    _started(measured, read_bundle(out))
    return digest


def _started(measured: TransferMeasurements, bundle: Bundle) -> Detector:
    return Detector(bundle, classifier=None if bundle.manifest.remote is None else measured.inputs.classifier)


def _check(measured: TransferMeasurements, detector: Detector) -> None:
    """Refuse a bundle that scores otherwise than what the decision was taken on."""
    scores = measured.new.scores
    assert scores is not None, "only a scorer that can read is carried over"
    found = detector.score(measured.inputs.sample.pixels[:_PROBES]).scores
    wanted = scores[: len(found)]
    if not np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE):
        apart = float(np.abs(found - wanted).max())
        raise BundleError(f"the new bundle scores otherwise than what was measured, by up to {apart:.3g} nats")


def _canaries(measured: TransferMeasurements, *, anew: bool) -> Canaries:
    """Of images that set new thresholds where there are such: a later transfer tells that it is given them again."""
    classifier, model = measured.inputs.classifier, measured.inputs.new.loaded.model
    if not anew:
        return answered_anew(classifier, model, measured.bundle.canaries.images)
    images = measured.inputs.canonical()[measured.split.calibration[:CANDIDATES]]
    return make_canaries(classifier, model, images, seed=measured.options.seed, progress=measured.progress)


def _summary(measured: TransferMeasurements, thresholds: NewThresholds | None) -> CalibrationSummary:
    before = measured.bundle.manifest.calibration
    accuracy = float((measured.new.predicted == measured.labels).mean())
    known = dataclasses.replace(before, accuracy=accuracy, detection={})  # AUROCs were the old classifier's
    if thresholds is None:
        return known
    counts = thresholds.calibration.counts(len(measured.bundle.manifest.labels))
    return dataclasses.replace(
        known,
        images=len(thresholds.calibration.scores),
        images_per_class=tuple(counts.sum(axis=0).tolist()),
        images_per_stratum=tuple(counts.sum(axis=1).tolist()),
        warnings=thresholds.warnings,
    )


def _provenance(measured: TransferMeasurements, decision: Decision, evidence: Evidence) -> dict[str, Any]:
    old, loaded, sample = measured.bundle, measured.inputs.new.loaded, measured.inputs.sample
    gradients = measured.inputs.new.gradients
    record = {
        "from": old.digest,
        "before": _lineage(old.manifest),
        "decision": decision.to_json(),
        "options": measured.options.to_json(),
        "images": {"sha256": sample.digest, "count": len(sample), "skipped": len(sample.skipped)},
        "evidence": [finding.to_json() for finding in evidence],
    }
    return {
        **old.manifest.provenance,
        "classifier": {"source_sha256": loaded.source_digest, "notes": list(loaded.notes)},
        "gradients": gradients.description if gradients else None,
        "prototypes": {
            **_prototypes(old.manifest),
            "largest_loss": float(measured.prototypes.losses.max()),
            "mean_roughness": float(roughness(measured.prototypes.images).mean()),
        },
        "tools": tool_versions(),
        TRANSFER: record,
    }


def _prototypes(manifest: Manifest) -> dict[str, Any]:
    recorded = manifest.provenance.get("prototypes")
    return dict(recorded) if isinstance(recorded, dict) else {}


def _lineage(manifest: Manifest) -> list[str]:
    """Digests of the bundles that a bundle itself came from, the nearest first."""
    record = manifest.provenance.get(TRANSFER)
    if not isinstance(record, dict):
        return []
    return [str(record.get("from")), *map(str, record.get("before", ()))]
