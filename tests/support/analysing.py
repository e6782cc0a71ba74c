"""The analysis of connectivity as its command does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.research.analysis import analyse
from detector.research.connectivity.analysis import KIND, studies_of
from detector.research.facts import classifier_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.research.analysis import Analysis
    from detector.research.connectivity.options import ConnectivityOptions


def analysed_connectivity(
    inputs: CalibrationInputs | None,
    options: ConnectivityOptions,
    folder: Path,
    progress: Progress,
    studies: Sequence[str] = (),
) -> Analysis:
    """All studies that have something to work on, or those that are named."""
    return analyse(
        KIND,
        options,
        folder,
        progress,
        facts={"classifier": None} if inputs is None else classifier_facts(inputs),
        studies=studies or studies_of(given=inputs is not None, published=bool(options.barriers)),
        inputs=inputs,
    )
