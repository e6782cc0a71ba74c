"""The analysis of input-space mode connectivity: all its studies, one after the other, and what they leave on disk."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError, IsthmusError, ScaleOutError
from detector.html import element, joined
from detector.reporting.document import document
from detector.reporting.parts import Section, paragraph
from detector.research.claims import claims_markdown, claims_table
from detector.research.connectivity import (
    bypass_study,
    family_study,
    film,
    pair_study,
    percolation_study,
    published_study,
    training_study,
)
from detector.research.studies import Study, Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.stages import StageStore
from detector.versions import tool_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.shards.base import ShardRunner

FIGURES: Final = "connectivity.json"
REPORT: Final = "report.html"
CLAIMS: Final = "claims.md"
WORK: Final = ".work"
SCHEMA_VERSION: Final = 1


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


@dataclass(frozen=True, eq=False)
class Analysis:
    """What an analysis found.

    Args:
        studies: Those that could be done, in order.
        missing: What could not be done, and why, a sentence each; the study's name first.
        facts: What was analysed, on what, how: JSON values.
    """

    studies: tuple[Study, ...]
    missing: tuple[str, ...]
    facts: Mapping[str, Any]

    def to_json(self) -> str:
        """Everything that programs read."""
        fields = {
            "schema_version": SCHEMA_VERSION,
            "facts": self.facts,
            "claims": [{"study": study.name, **asdict(claim)} for study in self.studies for claim in study.claims],
            "missing": self.missing,
            "studies": {study.name: study.figures for study in self.studies},
        }
        return json.dumps(fields, indent=1, allow_nan=False) + "\n"


def analyse(
    inputs: CalibrationInputs | None,
    options: ConnectivityOptions,
    folder: Path,
    progress: Progress,
    *,
    studies: Sequence[str] = (),
    runner: ShardRunner | None = None,
) -> Analysis:
    """Run studies and write what they find, after each of them.

    Args:
        inputs: Classifier, gradients and held-out images; None for studies that need none.
        options: How.
        folder: Where results go; finished work is kept in ``.work``, so an analysis that was interrupted goes on.
        progress: Watches.
        studies: Which, by name; none for all that have something to work on.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        AnalysisError: A study is unknown, or none of them could be done.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    names = _chosen(studies, inputs, options)
    identity = inputs.identity() if inputs is not None else {"tools": tool_versions()}
    workplace = Workplace(inputs, StageStore(folder / WORK, identity), runner or _local(inputs), progress, folder)
    done: list[Study] = []
    missing: list[str] = []
    facts = {"options": options.to_json(), "studies": names, **_facts(inputs), "tools": tool_versions()}
    for name in names:
        try:
            done.append(STUDIES[name].run(workplace, options))
        except ScaleOutError:  # no word on the study: the same command goes on once the cluster is back
            raise
        except IsthmusError as error:
            missing.append(f"{name}: {error}")
            progress.note(f"not done: {missing[-1]}")
            continue
        for sentence in done[-1].missing:
            missing.append(f"{name}: {sentence}")
            progress.note(f"missing: {missing[-1]}")
        _write(Analysis(tuple(done), tuple(missing), facts), folder)
    if not done:
        raise AnalysisError(f"nothing could be analysed. {'; '.join(missing)}")
    found = Analysis(tuple(done), tuple(missing), facts)
    _write(found, folder)
    return found


def render(analysis: Analysis) -> str:
    """The report, one HTML file."""
    claims = [claim for study in analysis.studies for claim in study.claims]
    agreed = sum(claim.agrees is True for claim in claims)
    disagreed = sum(claim.agrees is False for claim in claims)
    summary = paragraph(
        f"{len(claims)} claims put to the test: {agreed} agree, {disagreed} do not, {len(claims) - agreed - disagreed} "
        "stay open. Losses are natural cross-entropies of the class; distances are on pixels in [0, 1].",
        class_="lead",
    )
    first = Section.of("claims", "Claims", claims_table(claims)) if claims else None
    last = Section.of("about", "What was analysed", _missing(analysis.missing), _described(analysis.facts))
    sections = [section for study in analysis.studies for section in study.sections]
    return document(
        "Input-space mode connectivity", summary, [*([first] if first is not None else []), *sections, last]
    )


def _chosen(studies: Sequence[str], inputs: CalibrationInputs | None, options: ConnectivityOptions) -> list[str]:
    unknown = [name for name in studies if name not in STUDIES]
    if unknown:
        raise AnalysisError(f"--studies {unknown[0]}: there is none of this name; there are {', '.join(STUDIES)}")
    # What needs nothing takes long: whoever gave only published barriers did not ask for it.
    there = {
        Needs.NOTHING: inputs is not None,
        Needs.IMAGES: inputs is not None,
        Needs.BARRIERS: bool(options.barriers),
    }
    if studies:
        return [name for name in STUDIES if name in studies]
    found = [name for name, entry in STUDIES.items() if there[entry.needs]]
    if not found:
        alone = ", ".join(name for name, entry in STUDIES.items() if entry.needs is Needs.NOTHING)
        raise AnalysisError(f"nothing to analyse: pass --classifier and --images, or --barriers, or --studies {alone}")
    return found


def _local(inputs: CalibrationInputs | None) -> ShardRunner:
    """Runs shards here; those of studies that make their own networks ask no models, and find none."""
    if inputs is None:
        return LocalRunner(None)
    return LocalRunner(Models(inputs.loaded.classifier, inputs.gradients))


def _facts(inputs: CalibrationInputs | None) -> dict[str, Any]:
    if inputs is None:
        return {"classifier": None}
    return {
        "classifier": inputs.loaded.classifier.description,
        "classifier digest": inputs.loaded.source_digest,
        "gradients": inputs.gradients.description if inputs.gradients is not None else None,
        "image digest": inputs.images.digest,
        "images": len(inputs.images.pixels),
    }


def _missing(missing: Sequence[str]) -> Markup:
    if not missing:
        return paragraph("Everything that was asked for could be measured.")
    items = [element("li", sentence) for sentence in missing]
    return joined([paragraph("Not everything could be measured:"), element("ul", *items)])


def _described(facts: Mapping[str, Any]) -> Markup:
    rows = {**{name: value for name, value in facts.items() if name not in {"options", "tools"}}, **facts["options"]}
    pairs = [
        part
        for name, value in rows.items()
        for part in (
            element("dt", name),
            element("dd", ", ".join(map(str, value)) if isinstance(value, list) else value),
        )
    ]
    return element("dl", *pairs)


def _write(analysis: Analysis, folder: Path) -> None:
    claims = [claim for study in analysis.studies for claim in study.claims]
    files = {FIGURES: analysis.to_json().encode(), REPORT: render(analysis).encode()}
    files[CLAIMS] = claims_markdown(claims).encode()
    for study in analysis.studies:
        if study.arrays:
            stream = io.BytesIO()
            np.savez_compressed(stream, allow_pickle=False, **study.arrays)
            files[f"{study.name}.npz"] = stream.getvalue()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            part = folder / f".{name}.part"
            part.write_bytes(content)
            part.replace(folder / name)
    except OSError as error:
        raise AnalysisError(f"{folder}: results can't be written: {error.strerror}") from error
