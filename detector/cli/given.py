"""A given classifier and its images, as analyses take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.options import SpecOptions
    from detector.progress import Progress


def given_inputs(
    classifier: str,
    images: str,
    spec: SpecOptions,
    *,
    gradients: str | None,
    state: Path | None,
    labels: Path | None,
    limit: int,
    seed: int,
    threads: int | None,
    progress: Progress,
) -> CalibrationInputs:
    """Open what was named on the command line; arguments and errors as for `load_inputs`.

    Nothing of it is tapped: analyses read a classifier as it was given.
    """
    from detector.calibration.inputs import load_inputs
    from detector.cli.remote import open_classifier

    return load_inputs(
        open_classifier(classifier, spec=spec, labels=labels),
        images,
        spec=spec,
        gradients=gradients,
        state=state,
        labels=labels,
        limit=limit,
        seed=seed,
        threads=threads,
        taps=False,
        progress=progress,
    )
