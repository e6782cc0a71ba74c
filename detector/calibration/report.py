"""The bundle's report: how it was made and how good it is. One self-contained HTML file."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from detector.calibration.tuning.report import recorded, tuning_body
from detector.pictures import score_histogram
from detector.reporting.html import element, page, picture, table
from detector.reporting.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from detector.bundle import CalibrationSummary, Manifest
    from detector.classifiers.base import Float32Array
    from detector.conformal import ConformalCalibration

_TITLE = "Isthmus detector bundle"
_STYLE = (
    STYLE
    + """
td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.warn{background:var(--panel);border-left:4px solid var(--bad);padding:.4rem .8rem;margin:.4rem 0}
"""
)

_LIMITS = (
    "A verdict is evidence, not an oracle. An attacker who knows this detector and optimises against it can evade it; "
    "images the classifier gets wrong by nature, and corrupted ones, are flagged more often than clean, correct ones. "
    "AUROC above is for attacks of the kinds the scorer was trained on, on images it was not trained on."
)


def render_report(
    manifest: Manifest, calibration: ConformalCalibration, attacked: Mapping[str, Float32Array], sheet: bytes
) -> str:
    """Write the report.

    Args:
        manifest: Of the bundle, but for its file digests.
        calibration: Scores of the calibration images.
        attacked: Scores of attacked images the scorer was not fitted on, by attack; may be empty.
        sheet: The prototypes' contact sheet, PNG.
    """
    return page(
        _TITLE,
        _STYLE,
        element("h1", _TITLE),
        *(element("p", text, class_="warn") for text in manifest.calibration.warnings),
        _facts(manifest),
        element("h2", "Scores"),
        picture(score_histogram(calibration.scores, attacked), "distribution of scores"),
        *_detection(manifest),
        element("p", _LIMITS),
        *_tuning(manifest),
        element("h2", "Calibration images by predicted class"),
        table(zip(manifest.labels, manifest.calibration.images_per_class, strict=True), ("class", "images")),
        *_strata(manifest.calibration, calibration),
        element("h2", "Prototypes"),
        picture(sheet, "prototypes of every class"),
    )


def _facts(manifest: Manifest) -> Markup:
    spec, calibration, provenance = manifest.spec, manifest.calibration, manifest.provenance
    accuracy = "unknown (no labels)" if calibration.accuracy is None else f"{calibration.accuracy:.2%}"
    rows = {
        "Scorer": calibration.scorer,
        "Classifier forwards per image": manifest.plan.forwards_per_image,
        "Paths": ", ".join(target.name for target in manifest.plan.targets),
        "Alphas": ", ".join(f"{alpha:.3g}" for alpha in manifest.plan.grid),
        "Target false-positive rates": f"SUSPECT {manifest.rates.suspect:.2%}, "
        f"ADVERSARIAL {manifest.rates.adversarial:.2%}",
        "Calibration images": calibration.images,
        "Classifier accuracy": accuracy,
        "Classifier input": f"{spec.height} x {spec.width} {spec.channel_order} {spec.dtype} {spec.layout}",
        "Classifier": "; ".join(provenance["classifier"]["notes"]) or "served as given",
        "Classifier SHA-256": provenance["classifier"]["source_sha256"],
        "Gradients": provenance["gradients"] or "none",
        "Prototypes": f"{provenance['prototypes']['method']}, largest loss "
        f"{provenance['prototypes']['largest_loss']:.2g} nats, mean roughness "
        f"{provenance['prototypes']['mean_roughness']:.3f}",
        "Images skipped": provenance["images"]["skipped"],
        "Seed": provenance["options"]["seed"],
    }
    return table(rows.items())


def _tuning(manifest: Manifest) -> list[Markup]:
    decisions, missing = recorded(manifest.provenance)
    return [element("h2", "Tuning"), *tuning_body(decisions, missing)] if decisions else []


def _strata(summary: CalibrationSummary, calibration: ConformalCalibration) -> list[Markup]:
    """Images by stratum of difficulty; nothing where there is but one."""
    edges = calibration.strata.edges
    if not edges:
        return []
    ranges = [
        f"below {edges[0]:.3g}",
        *(f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)),
        f"from {edges[-1]:.3g}",
    ]
    return [
        element("h2", "Calibration images by stratum of difficulty"),
        element("p", f"The easiest first, by the classifier's {summary.proxy.value}; each has thresholds of its own."),
        table(zip(ranges, summary.images_per_stratum, strict=True), ("difficulty", "images")),
    ]


def _detection(manifest: Manifest) -> list[Markup]:
    detection = manifest.calibration.detection
    if not detection:
        return [element("p", "No attacks were run: the scorer knows benign profiles only.")]
    rows = [(name, f"{value:.3f}") for name, value in detection.items()]
    return [element("h2", "Detection of held-out attacked images"), table(rows, ("attack", "AUROC"))]
