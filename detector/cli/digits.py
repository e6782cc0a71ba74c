"""A classifier of scikit-learn's digits where none was given: trained in seconds, with images it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.calibration.inputs import load_inputs
from detector.classifiers.options import SpecOptions
from detector.embedded import EPOCHS, build_embedded_default, one_torch_thread

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault
    from detector.progress import Progress


def trained_digits(folder: Path, *, progress: Progress, taps: bool = True) -> tuple[EmbeddedDefault, CalibrationInputs]:
    """Train it, and open it with its gradients and its held-out images.

    Args:
        folder: Where its files go; made if need be.
        progress: Watches.
        taps: As for `load_inputs`.

    Raises:
        ClassifierError: This torch can't export the classifier.
    """
    with one_torch_thread():
        with progress.stage("Training a classifier of digits", EPOCHS) as advance:
            default = build_embedded_default(folder, on_progress=advance)
        inputs = load_inputs(
            default.classifier_file,
            default.images_file,
            spec=SpecOptions(),
            gradients=default.gradients_file,
            threads=1,
            taps=taps,
            progress=progress,
        )
    return default, inputs
