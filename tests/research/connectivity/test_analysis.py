"""The analysis as a whole: what it leaves, that it goes on after an interruption."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.research.analysis import render
from tests.support.analysing import analysed_connectivity
from tests.support.calibrating import Recorder
from tests.support.connecting import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.research.analysis import Analysis


def test_everything_is_on_disk(analysed: tuple[Path, Analysis]) -> None:
    out, found = analysed
    figures = json.loads((out / "connectivity.json").read_text())
    assert list(figures["studies"]) == ["pairs", "bypass"]
    assert figures["missing"] == list(found.missing) == []
    assert figures["facts"]["options"]["pairs"] == OPTIONS.pairs
    claims = [claim for study in found.studies for claim in study.claims]
    assert len(figures["claims"]) == len(claims) > 10
    assert (out / "claims.md").read_text().count("\n") == len(claims) + 2
    with np.load(out / "pairs.npz", allow_pickle=False) as arrays:
        assert arrays["real-real losses"].shape == (OPTIONS.pairs, OPTIONS.points)
    with np.load(out / "bypass.npz", allow_pickle=False) as arrays:
        assert arrays["real-real maps"].shape[1:] == (8, 8)


def test_the_report_has_the_claims_first_and_says_its_n(analysed: tuple[Path, Analysis]) -> None:
    report = (analysed[0] / "report.html").read_text()
    assert report == render(analysed[1])
    places = [report.index(f'id="{name}"') for name in ("claims", "pairs", "separation", "anchors", "bypass", "about")]
    assert places == sorted(places)
    assert report.count(f"({OPTIONS.pairs})") > 5
    assert "mathdefault" not in report


def test_what_is_finished_is_found_again(inputs: CalibrationInputs, analysed: tuple[Path, Analysis]) -> None:
    told = Recorder()
    again = analysed_connectivity(inputs, OPTIONS, analysed[0], told, studies=["bypass", "pairs"])
    assert told.stages == []
    assert again.to_json() == analysed[1].to_json()


@pytest.mark.parametrize("title", ["Walking pairs real-adversarial", "Synthesising"])
def test_an_interrupted_analysis_goes_on(inputs: CalibrationInputs, tmp_path: Path, title: str) -> None:
    small = OPTIONS.given(pairs=6, attack_steps=5, prototype_steps=3, steps=3)
    before = Recorder(interrupt_at=title)
    with pytest.raises(KeyboardInterrupt):
        analysed_connectivity(inputs, small, tmp_path, before, studies=["pairs"])
    assert not (tmp_path / "report.html").exists()
    after, whole = Recorder(), Recorder()
    found = analysed_connectivity(inputs, small, tmp_path, after, studies=["pairs"])
    analysed_connectivity(inputs, small, tmp_path / "whole", whole, studies=["pairs"])
    assert before.stages + after.stages == whole.stages
    assert (tmp_path / "report.html").read_text() == render(found)
