"""The real thing: a bundle on disk, served by a process of its own, called by the client."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector
from detector.verdicts import Verdict
from service.client import AsyncClient
from service.server import RunningServer
from tests.service.processes import serving
from tests.service.support import python_environment, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

PROGRAM = """
import asyncio, sys
from service.server import serve
from service.settings import load_settings
asyncio.run(serve(load_settings(bundle={bundle!r}, port=0, metrics_port=0, drain_delay=0)))
print([name for name in ("torch", "sklearn", "matplotlib", "scipy") if name in sys.modules])
"""


async def test_served_answers_are_the_detectors_own_and_no_offline_package_is_loaded(
    digits: EmbeddedDefault, digits_bundle: Path
) -> None:
    detector = Detector.load(digits_bundle)
    pixels = digits.test.pixels
    expected = detector.score(pixels)
    async with serving(PROGRAM.format(bundle=str(digits_bundle))) as served:
        listening = await served.until("listening")
        assert listening["bundle_digest"] == detector.bundle.digest
        async with AsyncClient(listening["address"]) as client:
            described = await client.describe()
            found = await client.score(pixels, include_profile=True)
            clients = [client.score(image) for image in pixels[:50]]
            one_by_one = [answer for (answer,) in await asyncio.gather(*clients)]
        served.process.send_signal(signal.SIGTERM)
        await served.until("stopped")
        assert served.process.stdout
        loaded = (await served.process.stdout.read()).decode().strip()
    assert loaded == "[]"
    assert described.accuracy == pytest.approx(detector.bundle.manifest.calibration.accuracy)
    assert described.images_per_stratum == detector.bundle.manifest.calibration.images_per_stratum
    assert described.bundle_digest == detector.bundle.digest
    assert described.paths == ("prototype[0]", "prototype[1]", "runner_up_prototype[0]", "blur")
    assert [image.label for image in found] == list(expected.labels)
    assert [image.verdict for image in found] == list(expected.verdicts)
    assert [image.stratum for image in found] == expected.strata.tolist()
    np.testing.assert_allclose([image.score for image in found], expected.scores, rtol=1e-3)
    np.testing.assert_allclose([image.p_value for image in found], expected.p_values, rtol=1e-3)
    np.testing.assert_allclose([image.score for image in one_by_one], expected.scores[:50], rtol=1e-3)
    losses = [[curve.losses for curve in image.profile] for image in found]
    np.testing.assert_allclose(losses, expected.profile.losses, rtol=1e-3, atol=1e-4)


async def test_a_deployment_may_set_the_rates(digits: EmbeddedDefault, digits_bundle: Path) -> None:
    settings = settings_for_tests(bundle=digits_bundle, suspect_rate=0.4, adversarial_rate=0.2)
    async with RunningServer(settings) as server, AsyncClient(server.target) as client:
        described = await client.describe()
        answers = await client.score(digits.test.pixels)
    assert (described.suspect_rate, described.adversarial_rate) == (0.4, 0.2)
    assert {answer.verdict for answer in answers} == set(Verdict)
    for answer in answers:
        assert (answer.verdict is not Verdict.BENIGN) == (answer.p_value <= 0.4)
        assert (answer.verdict is Verdict.ADVERSARIAL) == (answer.p_value <= 0.2)


def test_an_altered_bundle_is_not_served(digits_bundle: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(digits_bundle, altered)
    content = bytearray((altered / "scorer.onnx").read_bytes())
    content[100] ^= 1
    (altered / "scorer.onnx").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(bundle=str(altered))],
        check=False,
        capture_output=True,
        text=True,
        env=python_environment(),
        timeout=60,
    )
    assert done.returncode != 0
    assert "BundleIntegrityError" in done.stderr
    assert "scorer.onnx" in done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert "listening" not in events
