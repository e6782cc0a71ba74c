"""The bundle's report: how it was made and how good it is. One self-contained HTML file."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from detector.pictures import score_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from detector.bundle import Manifest
    from detector.classifiers.base import Float32Array
    from detector.conformal import ConformalCalibration

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
h1{font-size:1.6rem} h2{font-size:1.15rem;margin-top:2rem} img{max-width:100%}
table{border-collapse:collapse} td,th{padding:.25rem .8rem;border-bottom:1px solid #d5dbe2;text-align:left}
.warn{background:#fff4dc;border-left:4px solid #c98a12;padding:.4rem .8rem;margin:.4rem 0}
"""

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
    sections = [
        "<h1>Isthmus detector bundle</h1>",
        *(f'<p class="warn">{escape(text)}</p>' for text in manifest.calibration.warnings),
        _facts(manifest),
        "<h2>Scores</h2>",
        _image(score_histogram(calibration.scores, attacked), "distribution of scores"),
        _detection(manifest),
        f"<p>{escape(_LIMITS)}</p>",
        "<h2>Calibration images by predicted class</h2>",
        _table(zip(manifest.labels, manifest.calibration.images_per_class, strict=True), ("class", "images")),
        "<h2>Prototypes</h2>",
        _image(sheet, "prototypes of every class"),
    ]
    head = f'<meta charset="utf-8"><title>Isthmus detector bundle</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(sections)}</body></html>\n'


def _facts(manifest: Manifest) -> str:
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
    return _table(rows.items())


def _detection(manifest: Manifest) -> str:
    detection = manifest.calibration.detection
    if not detection:
        return "<p>No attacks were run: the scorer knows benign profiles only.</p>"
    rows = [(name, f"{value:.3f}") for name, value in detection.items()]
    return "<h2>Detection of held-out attacked images</h2>" + _table(rows, ("attack", "AUROC"))


def _table(rows: Iterable[tuple[object, object]], header: tuple[str, str] | None = None) -> str:
    head = f"<tr><th>{escape(header[0])}</th><th>{escape(header[1])}</th></tr>" if header else ""
    body = "".join(f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{head}{body}</table>"


def _image(png: bytes, text: str) -> str:
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
