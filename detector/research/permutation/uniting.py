"""From networks in files to one classifier in files: the whole way, as `isthmus merge` goes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from detector.classifiers.export import write_classifier
from detector.classifiers.labels import read_labels
from detector.classifiers.options import SpecOptions
from detector.data.alignment import align_labels
from detector.data.reading import names_for, read_images
from detector.errors import AnalysisError
from detector.folders import write_files
from detector.research.permutation.classifiers import open_networks
from detector.research.permutation.combining import ENSEMBLE, MERGED, combine, divided
from detector.research.permutation.guards import SINGLE, Guarded, benchmark
from detector.research.permutation.merging import MergingOptions
from detector.training.data import LabelledImages
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.evaluation.options import EvaluationOptions
    from detector.progress import Progress
    from detector.research.permutation.combining import Combined
    from detector.research.permutation.guards import Guards

REPORT: Final = "merge.json"
WORK: Final = ".work"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One classifier that is to be made of several.

    Args:
        networks: As for `open_networks`.
        images: Labelled, held out; as for `open_images`.
        spec: What is known of how the networks want their images.
        labels: Class names in output order; a file, as for `read_labels`.
        limit: Most images.
        merging: How they are merged.
        merged: Whether the merged network is written.
        ensemble: Whether the ensemble is written.
        points: Of the lines on which barriers are measured, both ends included.
        guards: How guards are calibrated and attacked to be compared; None compares none.
        seed: Of all that is drawn.
        threads: CPU threads of the classifiers that are guarded.

    Raises:
        AnalysisError: Nothing is to be written, or the options are not for so many networks.
    """

    networks: tuple[str, ...]
    images: str
    spec: SpecOptions = field(default_factory=SpecOptions)
    labels: Path | None = None
    limit: int | None = None
    merging: MergingOptions = field(default_factory=MergingOptions)
    merged: bool = True
    ensemble: bool = False
    points: int = 11
    guards: EvaluationOptions | None = None
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        if not (self.merged or self.ensemble):
            raise AnalysisError("--no-merged leaves nothing to write; give --ensemble too")
        self.merging.parts(len(self.networks))


@dataclass(frozen=True, eq=False)
class United:
    """What was made.

    Args:
        combined: The networks as one classifier.
        guards: Those that were compared; None where none were to be.
        statistics: How many images measured batch norms and activations.
        files: What was written.
    """

    combined: Combined
    guards: Guards | None
    statistics: int
    files: tuple[Path, ...]


def unite(wanted: Wanted, folder: Path, progress: Progress) -> United:
    """Make one classifier of several networks and write it, with a report.

    Args:
        wanted: Which.
        folder: Where to. Guards and what they take long to measure are kept there, in ``.work``.
        progress: Watches.

    Raises:
        IsthmusError: Networks, images or options can't be used, or the disk refuses.
    """
    labels = None if wanted.labels is None else read_labels(wanted.labels)
    networks = open_networks(wanted.networks, wanted.spec, labels)
    first = networks.classifiers[0]
    data = read_images(wanted.images, first.spec.shape, limit=wanted.limit, seed=wanted.seed, progress=progress)
    names = names_for(first.labels, data, given=labels is not None)
    statistics, judging = divided(align_labels(data, names), wanted.seed)
    combined = combine(
        networks,
        wanted.merging,
        LabelledImages.of(statistics, len(names)),
        LabelledImages.of(judging, len(names)),
        points=wanted.points,
        progress=progress,
    )
    files: list[Path] = []
    programs = {}
    for name, classifier, asked in (
        (MERGED, combined.classifier, wanted.merged),
        (ENSEMBLE, combined.ensemble, wanted.ensemble),
    ):
        if asked or wanted.guards is not None:
            written = write_classifier(classifier, folder if asked else folder / WORK, name)
            programs[name] = written[0]
            files += written if asked else ()
    guards = None
    if wanted.guards is not None:
        guarded = Guarded(
            images=judging,
            labels=names,
            spec=wanted.spec,
            options=wanted.guards,
            threads=wanted.threads,
        )
        compared: dict[str, list[str | Path]] = {SINGLE: [wanted.networks[wanted.merging.reference]]}
        compared |= {name: [file] for name, file in programs.items()}
        guards = benchmark(guarded, compared, len(wanted.networks), folder / WORK, progress)
    _write_report(wanted, combined, guards, len(statistics), folder)
    return United(combined, guards, len(statistics), (*files, folder / REPORT))


def _write_report(wanted: Wanted, combined: Combined, guards: Guards | None, statistics: int, folder: Path) -> None:
    fields: dict[str, Any] = {
        **combined.to_json(),
        "statistics_images": statistics,
        "points": wanted.points,
        "seed": wanted.seed,
        "tools": tool_versions(),
        "guards": None if guards is None else guards.to_json(),
    }
    try:
        write_files(folder, {REPORT: f"{json.dumps(fields, indent=1, allow_nan=False)}\n".encode()})
    except OSError as error:
        raise AnalysisError(f"{folder}: the report can't be written: {error.strerror}") from error
