"""The study of path families on digits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.html import element
from detector.research.connectivity.family_study import FamilyOptions, study
from tests.support.calibrating import unlabelled

if TYPE_CHECKING:
    from detector.research.studies import Study, Workplace

OPTIONS = FamilyOptions(
    pairs=120, epsilon=0.01, points=21, budgets=(4, 12), dimensions=(1, 2), groups=4, group_steps=10, group_points=40
)


@pytest.fixture(scope="module")
def found(workplace: Workplace) -> Study:
    return study(workplace, OPTIONS)


def test_every_family_is_tried_at_every_budget_it_can_spend(found: Study) -> None:
    counts, curves = found.figures["pairs"], found.figures["curves"]
    assert counts["pairs"] == 120
    assert counts["joined"] > 0
    assert {(one["family"], one["budget"]) for one in curves} == {
        (family, budget)
        for family in (
            "bypass, 1 round",
            "bypass, 2 rounds",
            *(
                f"{shape}, {aim}"
                for shape in ("2 segments", "4 segments", "quadratic Bezier")
                for aim in ("mean", "soft maximum")
            ),
        )
        for budget in (4, 12)
    }
    assert all(one["gradients"] <= one["budget"] for one in curves)
    assert all(one["pairs"] == counts["joined"] for one in curves)
    assert all(one["median_length"] >= 0.999 for one in curves)


def test_paths_that_cost_more_connect_more_than_straight_ones(found: Study) -> None:
    most = {one["family"]: one for one in found.figures["curves"] if one["budget"] == 12}
    assert most["bypass, 1 round"]["connected"] > 0  # of pairs that the straight path leaves unconnected
    few = sum(one["connected"] for one in found.figures["curves"] if one["budget"] == 4)
    assert sum(one["connected"] for one in most.values()) >= few


def test_of_two_inputs_star_cone_and_subdivision_do_alike(found: Study) -> None:
    pairs = {one["shape"]: one for one in found.figures["groups"] if one["dimension"] == 1}
    assert {one["free_points"] for name, one in pairs.items() if name != "flat simplex"} == {1}
    assert pairs["star"]["median_height"] == pytest.approx(pairs["cone"]["median_height"], abs=0.02)
    assert pairs["flat simplex"]["gradients"] == 0


def test_what_is_found_can_be_read(found: Study) -> None:
    json.dumps(found.figures)
    page = document("Families", element("p"), found.sections)
    for words in ("4 segments, soft maximum", "subdivided simplex", "gradients per pair", "of 120 pairs".capitalize()):
        assert words in page
    assert len(found.claims) == 2
    assert not found.missing


def test_a_study_that_is_done_again_is_found(workplace: Workplace, found: Study) -> None:
    stages: list[str] = workplace.progress.stages  # type: ignore[attr-defined] # a Recorder
    before = len(stages)
    again = study(workplace, OPTIONS)
    assert len(stages) == before
    assert again.figures == found.figures


def test_what_can_not_be_joined_is_said(workplace: Workplace) -> None:
    found = study(workplace, replace(OPTIONS, pairs=3, epsilon=50.0, groups=2, dimensions=(4,)))
    assert found.figures["pairs"]["joined"] == 0
    assert found.figures["curves"] == []
    assert "no pair has low ends and a barrier" in found.missing[0]


def test_labels_and_sense_are_needed(workplace: Workplace) -> None:
    assert workplace.inputs is not None
    with pytest.raises(AnalysisError, match="labelled"):
        study(replace(workplace, inputs=unlabelled(workplace.inputs)), OPTIONS)
    with pytest.raises(AnalysisError, match="classifier"):
        study(replace(workplace, inputs=None), OPTIONS)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"epsilon": 0}, "epsilon"),
        ({"budgets": (8, 4)}, "budgets"),
        ({"budgets": (2,)}, "budgets"),
        ({"pairs": 0}, "pairs"),
    ],
)
def test_options_out_of_range_are_refused_by_name(change: dict[str, object], name: str) -> None:
    with pytest.raises(AnalysisError, match=name):
        FamilyOptions(**change)  # type: ignore[arg-type] # wrong on purpose
