from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from detector.calibration.pipeline import calibrate
from detector.calibration.report import render_report
from detector.conformal import ConformalCalibration
from tests.support.calibrating import Recorder, quick_options
from tests.support.pages import read_page

if TYPE_CHECKING:
    from detector.bundle.manifest import Manifest
    from detector.calibration.inputs import CalibrationInputs


@pytest.fixture(scope="module")
def report(inputs: CalibrationInputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    result = calibrate(inputs, quick_options(), tmp_path_factory.mktemp("report") / "bundle", progress=Recorder())
    return (result.path / "report.html").read_text(encoding="utf-8"), result.manifest


def test_it_needs_nothing_but_itself(report: tuple[str, Manifest]) -> None:
    html, _ = report
    page = read_page(html)
    assert len(page.links) == 2
    for link in page.links:
        kind, _, content = link.partition(",")
        assert kind == "data:image/png;base64"
        assert min(Image.open(io.BytesIO(base64.b64decode(content, validate=True))).size) > 200
    assert not re.search(r"https?:|url\(|@import|<script", html)


def test_it_states_what_matters(report: tuple[str, Manifest], inputs: CalibrationInputs) -> None:
    html, manifest = report
    text = " ".join(read_page(html).text)
    accuracy = manifest.calibration.accuracy
    for fact in (
        "one-class",
        "SUSPECT 5.00%, ADVERSARIAL 1.00%",
        f"{accuracy:.2%}",
        "prototype[0], prototype[1], runner_up_prototype[0], blur",
        inputs.loaded.source_digest,
        "A verdict is evidence, not an oracle.",
        "No attacks were run",
    ):
        assert fact in text
    for label, count in zip(manifest.labels, manifest.calibration.images_per_class, strict=True):
        assert f"<td>{label}</td><td>{count}</td>" in html
    easy, hard = manifest.calibration.images_per_stratum
    assert "Calibration images by stratum of difficulty" in html
    assert re.search(rf"<td>below (\S+)</td><td>{easy}</td></tr><tr><td>from \1</td><td>{hard}</td>", html)


def _render(manifest: Manifest, attacked: dict[str, np.ndarray]) -> str:
    scores = np.linspace(0.1, 2, 50, dtype=np.float32)
    calibration = ConformalCalibration(scores, np.zeros(50, np.int64))
    return render_report(manifest, calibration, attacked, b"not looked at")


def test_whatever_names_and_warnings_hold_is_text(report: tuple[str, Manifest]) -> None:
    nasty = '<script>alert("x")</script> & co'
    _, manifest = report
    calibration = replace(manifest.calibration, warnings=(nasty,), detection={nasty: 0.5})
    changed = replace(manifest, labels=(nasty, *manifest.labels[1:]), calibration=calibration)
    page = read_page(_render(changed, {nasty: np.ones(3, np.float32)}))
    assert "script" not in page.tags
    assert page.text.count(nasty) == 3


def test_detection_is_tabulated(report: tuple[str, Manifest]) -> None:
    _, manifest = report
    calibration = replace(manifest.calibration, detection={"PGD-Linf-8/255": 0.98765, "CW-L2-k0.5": 0.5})
    html = _render(replace(manifest, calibration=calibration), {"PGD-Linf-8/255": np.ones(3, np.float32)})
    assert "<td>PGD-Linf-8/255</td><td>0.988</td>" in html
    assert "<td>CW-L2-k0.5</td><td>0.500</td>" in html
    assert "No attacks were run" not in html


def test_the_same_input_gives_the_same_page(report: tuple[str, Manifest]) -> None:
    _, manifest = report
    attacked = {"PGD-Linf-8/255": np.ones(3, np.float32)}
    assert _render(manifest, attacked) == _render(manifest, attacked)
