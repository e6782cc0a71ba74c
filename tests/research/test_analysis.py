"""The runner of analyses by itself: order, what is written, what can't be done, what is found again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from detector.errors import AnalysisError, CalibrationError, ScaleOutError
from detector.reporting.drawing import SERIES, chart, figure
from detector.reporting.parts import Section
from detector.research.analysis import AnalysisKind, analyse, render
from detector.research.claims import Claim
from detector.research.studies import Study
from detector.shards.base import Job, shards
from tests.support.calibrating import Recorder
from tests.support.sharding import Deaths, squares

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from detector.research.studies import Workplace


@dataclass(frozen=True)
class _Options:
    sides: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _areas(workplace: Workplace, options: _Options) -> Study:
    assert workplace.inputs is None
    folder = workplace.folder / "executions"
    folder.mkdir(exist_ok=True, parents=True)
    arrays = workplace.done(
        "areas",
        lambda: Job("Squaring", squares, Deaths(folder, -1, 0), lambda shard: shard.number, shards(options.sides, 1)),
        sides=options.sides,
    )

    def paint(drawn: Figure) -> None:
        drawn.subplots().plot(arrays["squares"], color=SERIES[0])

    drawn = chart("areas", "areas", (3, 2), paint)
    found = Claim(claim="Areas grow.", source="school", run="squares", outcome="they do", agrees=True)
    return Study(
        "areas",
        {"total": int(arrays["squares"].sum())},
        arrays=arrays,
        sections=(Section.of("areas", "Areas", figure(drawn, "")),),
        charts={"growth": drawn},
        claims=(found,),
        missing=("no colours",),
    )


def _impossible(workplace: Workplace, options: _Options) -> Study:
    del workplace, options
    raise CalibrationError("there is nothing")


def _given_up(workplace: Workplace, options: _Options) -> Study:
    del workplace, options
    raise ScaleOutError("the cluster is gone")


KIND = AnalysisKind[_Options](
    name="school",
    title="What schools teach",
    units="Areas are square.",
    studies={"areas": _areas, "impossible": _impossible, "given up": _given_up},
)


def test_what_was_found_is_written_and_what_was_not_is_said(tmp_path: Path) -> None:
    told = Recorder()
    found = analyse(KIND, _Options(4), tmp_path, told, studies=["impossible", "areas"], facts={"pupils": 3})
    figures = json.loads((tmp_path / "school.json").read_text())
    assert figures["facts"] | {"tools": {}} == {
        "options": {"sides": 4},
        "studies": ["areas", "impossible"],
        "pupils": 3,
        "tools": {},
    }
    assert figures["studies"] == {"areas": {"total": 14}}
    assert figures["claims"][0]["study"] == "areas"
    assert figures["missing"] == list(found.missing) == ["areas: no colours", "impossible: there is nothing"]
    assert told.notes == ["missing: areas: no colours", "not done: impossible: there is nothing"]
    with np.load(tmp_path / "areas.npz", allow_pickle=False) as arrays:
        assert arrays["squares"].tolist() == [0, 1, 4, 9]
    report = (tmp_path / "report.html").read_text()
    assert report == render(found)
    assert "1 agree, 0 do not, 0 stay open. Areas are square." in report
    assert (tmp_path / "claims.md").read_text().splitlines()[-1] == "| Areas grow. | school | squares | they do | yes |"


def test_charts_are_files_of_their_own_that_need_no_page(tmp_path: Path) -> None:
    analyse(KIND, _Options(4), tmp_path, Recorder(), studies=["areas"], facts={})
    root = ET.parse(tmp_path / "areas-growth.svg").getroot()  # noqa: S314 - written by this project
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.attrib["width"], root.attrib["height"]) == ("288", "192")
    style = root.find("{http://www.w3.org/2000/svg}style")
    assert style is not None
    assert style.text is not None
    assert "--c0:" in style.text
    assert "prefers-color-scheme:dark" in style.text


def test_finished_shards_are_not_computed_again(tmp_path: Path) -> None:
    for _ in range(2):
        analyse(KIND, _Options(3), tmp_path, Recorder(), studies=["areas"], facts={})
    assert Deaths(tmp_path / "executions", -1, 0).executions() == [0, 1, 2]


def test_nothing_done_is_an_error_and_a_lost_cluster_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"^nothing could be analysed\. impossible: there is nothing$"):
        analyse(KIND, _Options(3), tmp_path, Recorder(), studies=["impossible"], facts={})
    with pytest.raises(ScaleOutError, match="the cluster is gone"):
        analyse(KIND, _Options(3), tmp_path, Recorder(), studies=["given up"], facts={})
    with pytest.raises(AnalysisError, match="--studies music: there is none of this name; there are areas, impossible"):
        analyse(KIND, _Options(3), tmp_path, Recorder(), studies=["music"], facts={})
