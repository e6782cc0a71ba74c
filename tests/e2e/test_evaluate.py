"""`isthmus evaluate --quick` on the digits: the whole command, a real server asked by the attack that only asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from detector.bundle import read_bundle
from tests.support.commands import finished

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def _command(digits: EmbeddedDefault, images: Path, out: Path) -> tuple[str, ...]:
    return (
        "evaluate",
        *("--classifier", str(digits.classifier_file), "--gradients", str(digits.gradients_file)),
        *("--images", str(images), "--out", str(out), "--quick"),
        *("--limit", "1000", "--points", "2", "--attack-images", "30", "--adaptive-images", "1", "--threads", "1"),
        *("--scorer", "one-class"),  # no attack is run to calibrate it: half the time
    )


def test_one_command_leaves_a_report_figures_and_a_bundle(digits: EmbeddedDefault, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    run = finished(*_command(digits, digits.images_file, out), timeout=600)
    assert run.returncode == 0, run.stderr
    figures = json.loads((out / "results.json").read_text())
    assert figures["facts"]["seed"] == 0
    assert f"over {len(figures['attacks'])} attacks" in run.stdout
    asked = next(curve for curve in figures["adaptive"] if curve["name"] == "Square on the guard")
    assert "the service's own API" in asked["note"]
    assert "listening" in (out / "bundle-server.log").read_text()
    assert read_bundle(out / "bundle").manifest.plan.forwards_per_image == figures["forwards_per_image"]
    assert "<html" in (out / "report.html").read_text()


def test_images_without_labels_are_refused_in_a_line(digits: EmbeddedDefault, tmp_path: Path) -> None:
    with np.load(digits.images_file, allow_pickle=False) as arrays:
        np.savez(tmp_path / "unlabelled.npz", images=arrays["images"])
    run = finished(*_command(digits, tmp_path / "unlabelled.npz", tmp_path / "out"), timeout=60)
    assert run.returncode == 1
    assert "an evaluation needs labelled images" in run.stderr
    assert "Traceback" not in run.stderr
