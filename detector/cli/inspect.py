"""`isthmus inspect`: what a bundle is, and whether it is whole. Never loads torch."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.errors import clear_errors
from detector.cli.facts import Facts, several

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.bundle import Bundle, Manifest


def inspect(
    bundle: Annotated[Path, typer.Argument(help="The bundle folder.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as it is; its SHA-256 is the bundle's digest.")
    ] = False,
) -> None:
    """Verify a bundle and say what it is: classifier, paths and their cost, and how it was calibrated from what.

    Every file is held against its digest, and the classifier must give the answers stored at calibration. A bundle that
    fails is refused with the reason.

    Example: isthmus inspect bundle --json | jq .calibration
    """
    with clear_errors():
        from detector.bundle.contents import MANIFEST
        from detector.cli.remote import load_detector

        detector = load_detector(bundle)
        if as_json:
            sys.stdout.write((bundle / MANIFEST).read_text(encoding="utf-8"))
        else:
            _facts(bundle, detector.bundle, float(detector.canary_deviations.max())).print()


def _facts(path: Path, bundle: Bundle, deviation: float) -> Facts:
    facts = Facts()
    facts.add("bundle", str(path))
    facts.add("digest", bundle.digest)
    canaries = len(bundle.parts.canaries.logits)
    answered = f"{canaries} canaries answered as at calibration, to {deviation:.1%} of what rounding may do"
    verified = f"{len(bundle.manifest.files)} files intact, {answered}"
    facts.add("verified", verified, "green")
    _add_classifier(facts, bundle.manifest)
    _add_detector(facts, bundle)
    _add_calibration(facts, bundle.manifest)
    _add_provenance(facts, bundle.manifest.provenance)
    return facts


def _add_classifier(facts: Facts, manifest: Manifest) -> None:
    spec, remote = manifest.spec, manifest.remote
    if remote is not None:
        facts.add("classifier", f"runs at {remote.url}, {remote.batch} images at once")
    facts.add("classes", f"{len(manifest.labels)}: {several(manifest.labels)}")
    low, high = spec.value_range
    facts.add(
        "input",
        f"{spec.height} x {spec.width} {spec.channel_order.value.upper()}, {spec.layout.value.upper()} "
        f"{spec.dtype.value}, black {low:g}, white {high:g}",
    )
    if spec.mean or spec.std:
        facts.add("normalised", f"mean {_listed(spec.mean)}, std {_listed(spec.std)}")
    facts.add("output", manifest.output_kind.value)


def _add_detector(facts: Facts, bundle: Bundle) -> None:
    plan, rates = bundle.manifest.plan, bundle.manifest.rates
    facts.add("paths", several([target.name for target in plan.targets]))
    facts.add("alphas", _listed(plan.alphas))
    if plan.views:
        facts.add("views", several([view.value for view in plan.views]))
    if plan.tapped:
        facts.add("taps", f"read at the image and along {several([plan.targets[at].name for at in plan.tapped])}")
    if plan.residuals:
        facts.add("residuals", "the image's noise residuals are measured, and have a tail of their own")
    if (statistics := bundle.parts.statistics) is not None:
        facts.add(
            "hidden paths", f"of {bundle.parts.hidden_layers} tapped layers, {statistics.numbers} numbers, are read"
        )
    facts.add("cost", f"{plan.forwards_per_image} classifier forwards per image")
    prototypes = bundle.parts.prototypes
    facts.add("prototypes", f"{prototypes.per_class} of each class, largest loss {prototypes.losses.max():.2g} nats")
    facts.add("scorer", bundle.manifest.calibration.scorer)
    facts.add("rates", f"SUSPECT at p <= {rates.suspect:g}, ADVERSARIAL at p <= {rates.adversarial:g}")


def _add_calibration(facts: Facts, manifest: Manifest) -> None:
    calibration = manifest.calibration
    counts = calibration.images_per_class or (0,)
    facts.add(
        "calibration",
        f"{calibration.images} held-out images; per predicted class at least {min(counts)}, "
        f"median {statistics.median(counts):g}",
    )
    strata = calibration.images_per_stratum
    if len(strata) > 1:
        images = ", ".join(f"{count}" for count in strata)
        facts.add("strata", f"{len(strata)} of difficulty (by {calibration.proxy.value}), the easiest first: {images}")
    if calibration.accuracy is not None:
        facts.add("accuracy", f"{calibration.accuracy:.1%}, of the classifier on the images given")
    for attack, auroc in calibration.detection.items():
        facts.add("AUROC", f"{auroc:.3f}  {attack}, images the scorer was not fitted on")
    for warning in calibration.warnings:
        facts.add("warning", warning, "yellow")


def _add_provenance(facts: Facts, provenance: Any) -> None:
    """Whatever is recorded: a bundle may come from another version, so nothing is taken for granted."""
    facts.add("provenance", "", "dim")
    for name, value in provenance.items():
        if name == "tuning" and isinstance(value, dict):
            for one in value.get("decisions", ()):
                facts.add("  tuned", f"{one.get('subject')}: {one.get('chosen')} ({one.get('why')})", "dim")
        elif name == "transfer" and isinstance(value, dict):
            _add_transfer(facts, value)
        elif isinstance(value, dict):
            facts.add(f"  {name}", ", ".join(f"{key} {_brief(inner)}" for key, inner in value.items()), "dim")
        else:
            facts.add(f"  {name}", _brief(value), "dim")


def _add_transfer(facts: Facts, transfer: Mapping[str, Any]) -> None:
    """Where a bundle was carried over from, and what the decision rests on."""
    decision = transfer.get("decision")
    taken = decision if isinstance(decision, dict) else {}
    lineage = [transfer.get("from"), *transfer.get("before", ())]
    facts.add("  transfer", f"{taken.get('choice')}, from bundle {_brief(lineage)}", "dim")
    facts.add("  because", str(taken.get("because")), "dim")
    for finding in transfer.get("evidence", ()):
        facts.add("  evidence", str(finding.get("sentence") if isinstance(finding, dict) else finding), "dim")


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_brief(inner)}" for key, inner in value.items()) + ")"
    if isinstance(value, list):
        return "; ".join(map(_brief, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
