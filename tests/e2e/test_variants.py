"""One network in the conventions of deployed models: calibrated alike, and scored alike without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.calibration.inputs import load_inputs
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.classifiers.base import ChannelOrder
from detector.classifiers.options import SpecOptions
from detector.data.opening import open_images
from detector.data.source import read_all
from detector.prototypes.options import SynthesisOptions
from detector.verdicts import TargetRates, Verdict
from tests.service.support import python_environment
from tests.support import variants
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Answers = dict[str, NDArray[Any]]

VARIANTS: dict[str, tuple[Callable[[bytes], bytes], SpecOptions]] = {
    "plain": (lambda model: model, SpecOptions()),
    "fixed_batch": (variants.fixed_batch, SpecOptions()),
    "nhwc": (variants.nhwc, SpecOptions()),
    "probabilities": (variants.probabilities, SpecOptions()),
    "bgr": (variants.bgr, SpecOptions(channel_order=ChannelOrder.BGR)),
}
OPTIONS = CalibrationOptions(
    rates=TargetRates(suspect=0.3, adversarial=0.1),  # so that there are verdicts of every kind to compare
    prototypes=SynthesisOptions(per_class=1, steps=25),
    points=2,
    attack_images=40,
)
SCORERS = (ScorerChoice.ONE_CLASS, pytest.param(ScorerChoice.SUPERVISED, marks=pytest.mark.slow))
CALIBRATED = 200
SCORED = 64
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from detector import Detector
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy", allow_pickle=False)
for name in sys.argv[2:]:
    found = Detector.load(folder / name, threads=1).score(images)
    np.savez(
        folder / f"{name}.npz", predicted=found.predicted, p_values=found.p_values, verdicts=np.array(found.verdicts)
    )
print([name for name in ("torch", "sklearn", "matplotlib") if name in sys.modules])
"""


def _calibrate(shared_data: Path, folder: Path, name: str, scorer: ScorerChoice) -> None:
    change, spec = VARIANTS[name]
    model = folder / f"{name}.onnx"
    model.write_bytes(change((shared_data / "classifiers" / "cifar10_resnet20.onnx").read_bytes()))
    inputs = load_inputs(
        model,
        shared_data / "cifar10" / "test.zip",
        spec=spec,
        gradients=shared_data / "classifiers" / "cifar10_resnet20.pt2",
        limit=CALIBRATED,
        threads=1,
        progress=Recorder(),
    )
    calibrate(inputs, replace(OPTIONS, scorer=scorer), folder / name, progress=Recorder())


def _scored_images(shared_data: Path) -> NDArray[np.uint8]:
    """Images, half of them with noise, so that not all are benign."""
    pixels = read_all(open_images(shared_data / "cifar10" / "test.zip"), (3, 32, 32), limit=SCORED, seed=99).pixels
    noise = np.random.default_rng(0).normal(0, 40, pixels.shape)
    noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return np.where((np.arange(SCORED) % 2 == 0)[:, None, None, None], pixels, noisy)


@pytest.fixture(scope="module", params=SCORERS)
def answers(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answers]:
    """What each variant's bundle says, in one process that never imports torch."""
    folder = tmp_path_factory.mktemp("variants")
    for name in VARIANTS:
        _calibrate(shared_data, folder, name, request.param)
    np.save(folder / "images.npy", _scored_images(shared_data))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *VARIANTS],
        check=True,
        capture_output=True,
        text=True,
        env=python_environment(),
    )
    assert done.stdout.strip() == "[]"
    found = {}
    for name in VARIANTS:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            found[name] = dict(arrays)
    return found


def test_the_images_are_not_all_judged_alike(answers: dict[str, Answers]) -> None:
    verdicts = answers["plain"]["verdicts"].tolist()
    assert min(verdicts.count(verdict.value) for verdict in Verdict) >= 2
    assert len(np.unique(answers["plain"]["predicted"])) > 5


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "plain"])
def test_a_variant_answers_as_the_plain_classifier(answers: dict[str, Answers], name: str) -> None:
    plain, variant = answers["plain"], answers[name]
    np.testing.assert_array_equal(variant["predicted"], plain["predicted"])
    np.testing.assert_array_equal(variant["verdicts"], plain["verdicts"])
    np.testing.assert_allclose(variant["p_values"], plain["p_values"], atol=0.02)
