"""The analysis of input-space mode connectivity: all its studies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from detector.errors import AnalysisError
from detector.research import analysis
from detector.research.analysis import Analysis, AnalysisKind
from detector.research.connectivity import (
    bypass_study,
    family_study,
    film,
    pair_study,
    percolation_study,
    published_study,
    training_study,
)
from detector.research.connectivity.options import ConnectivityOptions
from detector.research.facts import classifier_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.research.studies import Study, Workplace
    from detector.shards.base import ShardRunner


class Needs(StrEnum):
    """What a study works on; without it, it is done only if it is asked for by name, and then says what it lacks."""

    NOTHING = "nothing"
    IMAGES = "a classifier and images"
    BARRIERS = "published barriers"


@dataclass(frozen=True)
class Entry:
    """A study of the analysis.

    Args:
        run: Does it.
        needs: What it works on.
    """

    run: Callable[[Workplace, ConnectivityOptions], Study]
    needs: Needs


STUDIES: Final[Mapping[str, Entry]] = {
    published_study.NAME: Entry(published_study.published_study, Needs.BARRIERS),
    pair_study.NAME: Entry(pair_study.pair_study, Needs.IMAGES),
    bypass_study.NAME: Entry(bypass_study.bypass_study, Needs.IMAGES),
    family_study.NAME: Entry(lambda at, options: family_study.study(at, options.families), Needs.IMAGES),
    film.NAME: Entry(lambda at, options: film.study(at, options.film), Needs.IMAGES),
    training_study.NAME: Entry(lambda at, options: training_study.training_study(at, options.training), Needs.NOTHING),
    percolation_study.NAME: Entry(
        lambda at, options: percolation_study.percolation_study(at, options.percolation), Needs.NOTHING
    ),
}
"""All studies, in the order they are run and reported: what is new is a line here."""

KIND: Final = AnalysisKind[ConnectivityOptions](
    name="connectivity",
    title="Input-space mode connectivity",
    units="Losses are natural cross-entropies of the class; distances are on pixels in [0, 1].",
    studies={name: entry.run for name, entry in STUDIES.items()},
)


def analyse(
    inputs: CalibrationInputs | None,
    options: ConnectivityOptions,
    folder: Path,
    progress: Progress,
    *,
    studies: Sequence[str] = (),
    runner: ShardRunner | None = None,
) -> Analysis:
    """Run studies and write what they find; see `detector.research.analysis.analyse`.

    Args:
        inputs: Classifier, gradients and held-out images; None for studies that need none.
        options: How.
        folder: Where results go.
        progress: Watches.
        studies: Which, by name; none for all that have something to work on.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        AnalysisError: A study is unknown, or none of them could be done.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    return analysis.analyse(
        KIND,
        options,
        folder,
        progress,
        studies=studies or _with_something(inputs, options),
        facts={"classifier": None} if inputs is None else classifier_facts(inputs),
        inputs=inputs,
        runner=runner,
    )


def _with_something(inputs: CalibrationInputs | None, options: ConnectivityOptions) -> list[str]:
    """The studies that have something to work on."""
    # What needs nothing takes long: whoever gave only published barriers did not ask for it.
    there = {
        Needs.NOTHING: inputs is not None,
        Needs.IMAGES: inputs is not None,
        Needs.BARRIERS: bool(options.barriers),
    }
    found = [name for name, entry in STUDIES.items() if there[entry.needs]]
    if not found:
        alone = ", ".join(name for name, entry in STUDIES.items() if entry.needs is Needs.NOTHING)
        raise AnalysisError(f"nothing to analyse: pass --classifier and --images, or --barriers, or --studies {alone}")
    return found
