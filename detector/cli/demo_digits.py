"""What the demo guards and sends: a detector for the embedded digits, and clean, noisy and attacked test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.libraries import library_available
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import cw, fgsm, pgd, pgd_l2, unconstrained
from detector.calibration.attacking import attack_successfully
from detector.calibration.options import CalibrationOptions
from detector.calibration.pipeline import calibrate
from detector.cli.digits import trained_digits
from detector.detector import Detector
from detector.embedded import SPEC, one_torch_thread
from detector.errors import BundleError, CalibrationError
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Classifier, Float32Array, UInt8Array
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.progress import Progress

NOISE = 0.1  # standard deviation; pixels lie in [0, 1]
# The quick ones of a calibration's attacks: searches by queries would take most of a demo.
_OPTIONS = CalibrationOptions(
    attacks=(fgsm(8), pgd(2), pgd(8), pgd_l2(0.5), cw(0.5), unconstrained(steps=100)), attack_images=150
)
_LEVELS = 24  # of 255 that PGD may move a pixel; photographs need 8, eight by eight digits more


@dataclass(frozen=True, eq=False)
class Sample:
    """Test images of one kind.

    Args:
        kind: Such as "clean".
        how: How they were made.
        pixels: uint8 (N, 8, 8, 1).
        labels: int64 (N,), what they show.
        sources: int64 (N,), which test image each was made from.
    """

    kind: str
    how: str
    pixels: UInt8Array
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]


@dataclass(frozen=True)
class DemoDetector:
    """A calibrated detector of digits.

    Args:
        bundle: Its folder.
        samples: Clean, noisy and attacked images, none of which it has seen.
        accuracy: Of the classifier on the clean ones, 0..1.
    """

    bundle: Path
    samples: tuple[Sample, ...]
    accuracy: float


def build_demo(folder: Path, *, reuse: bool, progress: Progress) -> DemoDetector:
    """Train, calibrate, and make what is sent.

    Args:
        folder: Where to.
        reuse: Take the bundle that is there, if it is whole and was calibrated for this very classifier.
        progress: Watches.

    Raises:
        BundleError: Something that is no bundle is in the way.
    """
    bundle = folder / "bundle"
    default, inputs = trained_digits(folder, progress=progress)
    with one_torch_thread():
        if not (reuse and _is_usable(bundle, inputs, progress)):
            calibrate(inputs, _OPTIONS, bundle, progress=progress, overwrite=True)
        samples = make_samples(default.test, inputs, progress)
    return DemoDetector(bundle, samples, default.accuracy)


def _is_usable(bundle: Path, inputs: CalibrationInputs, progress: Progress) -> bool:
    try:
        found = Detector.load(bundle, threads=1).bundle
    except BundleError as error:
        progress.note(f"bundle: made anew: {error}")
        return False
    same = found.parts.classifier == inputs.loaded.model
    progress.note("bundle: reused" if same else "bundle: made anew: it was calibrated for another classifier")
    return same


def make_samples(test: ImageSet, inputs: CalibrationInputs, progress: Progress) -> tuple[Sample, ...]:
    """Clean, noisy and attacked versions of test images; of the attacked ones those that fool the classifier.

    Raises:
        CalibrationError: The images have no labels, or nothing gives gradients.
    """
    if test.labels is None or inputs.gradients is None:
        raise CalibrationError("the demo needs labels, and gradients to attack with")
    images, rows = to_canonical(test.pixels, SPEC.shape), np.arange(len(test))
    noise = np.random.default_rng(0).normal(0, NOISE, images.shape).astype(np.float32)
    return (
        Sample("clean", "as they are", test.pixels, test.labels, rows),
        Sample("noisy", f"Gaussian noise, sigma {NOISE}", to_pixels(images + noise), test.labels, rows),
        _attacked(images, test.labels, inputs.loaded.classifier, inputs.gradients, progress),
    )


def _attacked(
    images: Float32Array,
    labels: NDArray[np.int64],
    classifier: Classifier,
    gradients: TorchClassifier,
    progress: Progress,
) -> Sample:
    model = pgd(_LEVELS) if library_available() else unconstrained()
    right = np.flatnonzero(classifier.logits(images).argmax(axis=1) == labels)
    with progress.stage(f"Attacking test images: {model.name}", len(right)) as advance:
        target = AttackTarget(gradients, images[right], labels[right])
        moved = attack_successfully(model, classifier, target, seed=1, on_progress=advance)
    sources = right[moved.rows]
    how = f"{model.name}, those of {len(right)} that fool the classifier"
    return Sample("attacked", how, to_pixels(moved.images), labels[sources], sources)
