"""The results' JSON: stable, complete, and nothing but JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from detector.evaluation.results import SCHEMA_VERSION, EvaluationResults
from tests.support.results import realistic_results

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture(scope="module")
def results() -> EvaluationResults:
    return realistic_results()


@pytest.fixture(scope="module")
def read(results: EvaluationResults) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(results.to_json())
    return found


def test_the_same_results_are_the_same_text(results: EvaluationResults) -> None:
    assert results.to_json() == realistic_results().to_json()
    assert results.to_json() != realistic_results(seed=1).to_json()


def test_the_order_in_which_things_were_found_does_not_show(results: EvaluationResults) -> None:
    turned = [replace(peer, attacks=dict(reversed(list(peer.attacks.items())))) for peer in results.peers]
    facts = dict(reversed(list(results.facts.items())))
    assert replace(results, peers=turned, facts=facts).to_json() == results.to_json()


def test_every_field_is_there_beside_the_schema_version(read: dict[str, Any]) -> None:
    assert set(read) == {field.name for field in fields(EvaluationResults)} | {"schema_version"}
    assert read["schema_version"] == SCHEMA_VERSION


def test_figures_come_back_as_they_were(results: EvaluationResults, read: dict[str, Any]) -> None:
    assert read["benign_scores"] == list(results.benign_scores)
    assert [attack["name"] for attack in read["attacks"]] == [attack.name for attack in results.attacks]
    first, given = read["attacks"][0], results.attacks[0]
    assert first["included"]["auroc"] == {
        "value": given.included.auroc.value,
        "low": given.included.auroc.low,
        "high": given.included.auroc.high,
    }
    assert first["scores"] == list(given.scores)
    peer = results.peers[0]
    assert read["peers"][0]["false_positives"]["flagged"] == peer.false_positives.flagged
    assert set(read["peers"][0]["attacks"]) == set(peer.attacks)


def test_what_was_not_measured_is_null(results: EvaluationResults) -> None:
    without = replace(results, tramer=None, attacks=[replace(results.attacks[0], left_out=None, worst_class=None)])
    read = json.loads(without.to_json())
    assert read["tramer"] is None
    assert read["attacks"][0]["left_out"] is None
    assert read["attacks"][0]["worst_class"] is None


def test_the_text_is_a_file_of_its_own(results: EvaluationResults) -> None:
    assert results.to_json().endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_refused(results: EvaluationResults, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(results, accuracy=value).to_json()
