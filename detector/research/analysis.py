"""An analysis: studies of one paper done one after the other, and what they leave on disk."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np

from detector.errors import AnalysisError, IsthmusError, ScaleOutError
from detector.folders import write_files
from detector.reporting.document import document
from detector.reporting.drawing import standalone
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, paragraph
from detector.research.claims import claims_markdown, claims_table
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
    from detector.shards.base import ShardRunner

REPORT: Final = "report.html"
CLAIMS: Final = "claims.md"
WORK: Final = ".work"
SCHEMA_VERSION: Final = 1


class Options(Protocol):
    """What an analysis is told."""

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON values."""
        ...


_O = TypeVar("_O", bound=Options)


@dataclass(frozen=True, kw_only=True)
class AnalysisKind(Generic[_O]):
    """What analyses of one paper have in common.

    Args:
        name: A word; its figures are written to a JSON file of that name.
        title: Of the report.
        units: What is to be known to read its numbers; a sentence.
        studies: All there are, by name, in the order in which they are run and reported.
    """

    name: str
    title: str
    units: str
    studies: Mapping[str, Callable[[Workplace, _O], Study]]

    @property
    def figures(self) -> str:
        """The file that programs read."""
        return f"{self.name}.json"


@dataclass(frozen=True, eq=False)
class Analysis:
    """What an analysis found.

    Args:
        kind: Of which kind it is.
        studies: Those that could be done, in order.
        missing: What could not be done, and why, a sentence each; the study's name first.
        facts: What was analysed, on what, how: JSON values.
    """

    kind: AnalysisKind[Any]
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
    kind: AnalysisKind[_O],
    options: _O,
    folder: Path,
    progress: Progress,
    *,
    facts: Mapping[str, Any],
    studies: Sequence[str] = (),
    inputs: CalibrationInputs | None = None,
    runner: ShardRunner | None = None,
) -> Analysis:
    """Run studies and write what they find, after each of them.

    Args:
        kind: Of which kind.
        options: How.
        folder: Where results go; finished work is kept in ``.work``, so an analysis that was interrupted goes on.
        progress: Watches.
        facts: What is analysed, JSON values, to be told in the report.
        studies: Which, by name, done in the kind's order; none for all.
        inputs: Classifier, gradients and held-out images; None for studies that need none.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        AnalysisError: A study is unknown, or none of them could be done.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    names = _in_order(kind, studies or tuple(kind.studies))
    identity = inputs.identity() if inputs is not None else {"tools": tool_versions()}
    workplace = Workplace(inputs, StageStore(folder / WORK, identity), runner or _local(inputs), progress, folder)
    done: list[Study] = []
    missing: list[str] = []
    told = {"options": options.to_json(), "studies": names, **facts, "tools": tool_versions()}
    for name in names:
        try:
            done.append(kind.studies[name](workplace, options))
        except ScaleOutError:  # no word on the study: the same command goes on once the cluster is back
            raise
        except IsthmusError as error:
            missing.append(f"{name}: {error}")
            progress.note(f"not done: {missing[-1]}")
            continue
        for sentence in done[-1].missing:
            missing.append(f"{name}: {sentence}")
            progress.note(f"missing: {missing[-1]}")
        _write(Analysis(kind, tuple(done), tuple(missing), told), folder)
    if not done:
        raise AnalysisError(f"nothing could be analysed. {'; '.join(missing)}")
    found = Analysis(kind, tuple(done), tuple(missing), told)
    _write(found, folder)
    return found


def render(analysis: Analysis) -> str:
    """The report, one HTML file."""
    claims = [claim for study in analysis.studies for claim in study.claims]
    agreed = sum(claim.agrees is True for claim in claims)
    disagreed = sum(claim.agrees is False for claim in claims)
    summary = paragraph(
        f"{len(claims)} claims put to the test: {agreed} agree, {disagreed} do not, {len(claims) - agreed - disagreed} "
        f"stay open. {analysis.kind.units}",
        class_="lead",
    )
    first = Section.of("claims", "Claims", claims_table(claims)) if claims else None
    last = Section.of("about", "What was analysed", _missing(analysis.missing), _described(analysis.facts))
    sections = [section for study in analysis.studies for section in study.sections]
    return document(analysis.kind.title, summary, [*([first] if first is not None else []), *sections, last])


def _in_order(kind: AnalysisKind[_O], studies: Sequence[str]) -> list[str]:
    unknown = [name for name in studies if name not in kind.studies]
    if unknown:
        raise AnalysisError(f"--studies {unknown[0]}: there is none of this name; there are {', '.join(kind.studies)}")
    return [name for name in kind.studies if name in studies]


def _local(inputs: CalibrationInputs | None) -> ShardRunner:
    """Runs shards here; those of studies that make their own networks ask no models, and find none."""
    if inputs is None:
        return LocalRunner(None)
    return LocalRunner(Models(inputs.loaded.classifier, inputs.gradients))


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
    files = {analysis.kind.figures: analysis.to_json().encode(), REPORT: render(analysis).encode()}
    files[CLAIMS] = claims_markdown(claims).encode()
    for study in analysis.studies:
        if study.arrays:
            stream = io.BytesIO()
            np.savez_compressed(stream, allow_pickle=False, **study.arrays)
            files[f"{study.name}.npz"] = stream.getvalue()
        files |= {f"{study.name}-{name}.svg": standalone(drawn).encode() for name, drawn in study.charts.items()}
    try:
        write_files(folder, files)
    except OSError as error:
        raise AnalysisError(f"{folder}: results can't be written: {error.strerror}") from error
