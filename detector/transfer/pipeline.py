"""A transfer from end to end: measure, decide, write the bundle that follows, and say why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.bundle.contents import REPORT
from detector.bundle.writing import check_free
from detector.calibration.pipeline import calibrate
from detector.errors import AnalysisError, BundleError
from detector.folders import write_files
from detector.transfer.alignment import aligned_inputs, find_alignment
from detector.transfer.answers import answer_findings
from detector.transfer.connection import barrier_findings, detection_findings
from detector.transfer.decision import Choice, Decision, decide
from detector.transfer.evidence import Evidence
from detector.transfer.layers import layer_findings
from detector.transfer.measuring import TransferMeasurements
from detector.transfer.rates import rate_findings
from detector.transfer.recalibration import calibrate_command, options_of
from detector.transfer.report import render_report
from detector.transfer.shifts import shift_findings
from detector.transfer.thresholds import new_rate_findings, new_thresholds, room_finding
from detector.transfer.writing import transferred, write_transferred

if TYPE_CHECKING:
    from pathlib import Path

    from detector.progress import Progress
    from detector.transfer.alignment import Alignment
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.options import TransferOptions
    from detector.transfer.recalibration import Sources

FIGURES = "transfer.json"


@dataclass(frozen=True, kw_only=True)
class TransferResult:
    """A finished transfer.

    Args:
        decision: What became of the calibration.
        evidence: Why.
        bundle: The bundle that was written; None where it is to be calibrated anew, and was not.
        digest: Its digest.
        command: What calibrates anew.
        report: The folder of report and figures.
    """

    decision: Decision
    evidence: Evidence
    bundle: Path | None
    digest: str | None
    command: str
    report: Path


def transfer(
    inputs: TransferInputs,
    options: TransferOptions,
    sources: Sources,
    *,
    progress: Progress,
    report: Path | None = None,
    recalibrate: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
) -> TransferResult:
    """Carry a calibration over as far as the evidence allows.

    Finished work is kept beside the bundle to make in ``.<name>.work`` until the end; a transfer that was interrupted
    goes on from it.

    Args:
        inputs: What is carried over to what, and the sample.
        options: Where the bars are.
        sources: What the user named; `sources.out` is the bundle to make.
        progress: Watches.
        report: The folder of report and figures; None takes ``<out>-transfer`` beside the bundle.
        recalibrate: Whether to calibrate anew at once where nothing can be carried over.
        overwrite: Replace a bundle that is there.
        threads: CPU threads of a classifier that is exported here.

    Raises:
        BundleError: `out` is taken or can't be written.
        CalibrationError: It was to be calibrated anew, and the data does not fit that.
    """
    out = sources.out
    check_free(out, overwrite=overwrite)
    folder = report or out.with_name(f"{out.name}-transfer")
    alignment = _alignment(inputs, options, progress)
    aligned = _aligned(alignment, inputs, options, progress, threads)
    measured = TransferMeasurements(aligned, options, out.parent / f".{out.name}.work", progress)
    evidence = _evidence(measured, alignment)
    decision = decide(evidence)
    thresholds = new_thresholds(measured) if decision.choice is Choice.RE_THRESHOLD else None
    if thresholds is not None:
        checked = new_rate_findings(measured, thresholds)
        evidence = Evidence((*evidence, *checked))
        above = [one.sentence for one in checked if one.low is not None and one.bar is not None and one.low > one.bar]
        for warning in (*thresholds.warnings, *above):
            progress.note(f"warning: {warning}")
    command = calibrate_command(inputs.bundle.manifest, sources)
    page = render_report(measured, decision, evidence, thresholds, command)
    digest = None
    if decision.choice is not Choice.RECALIBRATE:
        bundle = transferred(measured, decision, evidence, thresholds)
        digest = write_transferred(out, bundle, measured, page, overwrite=overwrite)
    elif recalibrate:
        anew = options_of(inputs.bundle.manifest, remote=inputs.new.loaded.model is None)
        made = calibrate(inputs.new, anew, out, progress=progress, overwrite=overwrite)
        digest = made.digest
    result = TransferResult(
        decision=decision,
        evidence=evidence,
        bundle=out if digest else None,
        digest=digest,
        command=command,
        report=folder,
    )
    _write(folder, page, result, aligned)
    measured.store.clear()
    return result


def _alignment(inputs: TransferInputs, options: TransferOptions, progress: Progress) -> Alignment | str:
    """How the two networks' units match, or why that can't be said."""
    try:
        return find_alignment(inputs, options)
    except AnalysisError as error:
        progress.note(f"alignment: {error}")
        return str(error)


def _aligned(
    alignment: Alignment | str,
    inputs: TransferInputs,
    options: TransferOptions,
    progress: Progress,
    threads: int | None,
) -> TransferInputs:
    """The new network with its units where the old one's are, where the scorer reads them by their numbers."""
    if isinstance(alignment, str) or not (options.align and inputs.bundle.manifest.plan.tapped and alignment.moved):
        return inputs
    try:
        aligned = aligned_inputs(alignment, inputs, threads=threads)
    except AnalysisError as error:
        progress.note(f"alignment: its units are left as they are: {error}")
        return inputs
    progress.note(f"classifier: {aligned.new.loaded.notes[-1]}")
    return aligned


def _evidence(measured: TransferMeasurements, alignment: Alignment | str) -> Evidence:
    return Evidence(
        (
            *answer_findings(measured),
            *rate_findings(measured),
            *shift_findings(measured),
            *barrier_findings(measured, alignment),
            *layer_findings(measured),
            *detection_findings(measured),
            room_finding(measured),
        )
    )


def _write(folder: Path, page: str, result: TransferResult, inputs: TransferInputs) -> None:
    sample, loaded = inputs.sample, inputs.new.loaded
    fields = {
        "decision": result.decision.to_json(),
        "evidence": [finding.to_json() for finding in result.evidence],
        "from": inputs.bundle.digest,
        "to": {"source_sha256": loaded.source_digest, "notes": list(loaded.notes)},
        "images": {"sha256": sample.digest, "count": len(sample), "skipped": len(sample.skipped)},
        "bundle": None if result.bundle is None else {"path": str(result.bundle), "digest": result.digest},
        "calibrate": result.command,
    }
    figures = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_files(folder, {FIGURES: figures.encode(), REPORT: page.encode()})
    except OSError as error:
        raise BundleError(f"{folder}: the report can't be written: {error}") from error
