"""What layers say of a retrained classifier: nothing of a mere disguise, more the further it was trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.detector import Detector
from detector.progress import Silence
from detector.transfer.evidence import Subject
from detector.transfer.layers import FARTHEST, PATH, layer_findings
from detector.transfer.measuring import TransferMeasurements
from detector.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.transfer.evidence import Finding
    from detector.transfer.inputs import TransferInputs

    Inputs = Callable[[str], TransferInputs]


def _found(inputs: TransferInputs, folder: Path) -> dict[str, Finding]:
    findings = layer_findings(TransferMeasurements(inputs, TransferOptions(), folder, Silence()))
    assert {finding.subject for finding in findings} == {Subject.LAYERS}
    assert all(finding.holds is None and finding.sentence for finding in findings)
    return {finding.detail: finding for finding in findings}


def _path(inputs: TransferInputs, folder: Path) -> float:
    figure = _found(inputs, folder)[PATH].figure
    assert figure is not None
    return figure


@pytest.mark.parametrize("name", ["same", "disguised"])
def test_a_network_is_where_it_is_in_whatever_order_its_units_stand(
    inputs_for: Inputs, tmp_path: Path, name: str
) -> None:
    found = _found(inputs_for(name), tmp_path)
    assert found[PATH].figure == pytest.approx(0, abs=1e-3)  # an arc cosine makes 1e-7 of rounding 4e-4
    assert found[FARTHEST].figure == pytest.approx(0, abs=1e-3)


def test_the_further_it_was_trained_the_further_it_is(inputs_for: Inputs, tmp_path: Path) -> None:
    tuned, further, other = (
        _path(inputs_for(name), tmp_path / name) for name in ("fine-tuned", "trained further", "another seed")
    )
    assert 0 < tuned < further < other


def test_the_farthest_layer_is_named_and_farther_than_layers_are_on_average(inputs_for: Inputs, tmp_path: Path) -> None:
    found = _found(inputs_for("another seed"), tmp_path)
    assert (found[FARTHEST].figure or 0) >= (found[PATH].figure or 0) > 0
    assert "farthest apart at" in found[FARTHEST].sentence


def test_networks_of_other_layers_are_compared_too(inputs_for: Inputs, tmp_path: Path) -> None:
    assert _path(inputs_for("another architecture"), tmp_path) > 0


def test_a_classifier_that_shows_no_graph_is_said_to_show_none(inputs_for: Inputs, tmp_path: Path) -> None:
    inputs = inputs_for("same")
    bundle = replace(inputs.bundle, parts=replace(inputs.bundle.parts, classifier=None))
    hidden = replace(inputs, old=Detector(bundle, classifier=inputs.old.classifier))
    (finding,) = layer_findings(TransferMeasurements(hidden, TransferOptions(), tmp_path, Silence()))
    assert finding.figure is None
    assert "the layers can't be compared" in finding.sentence
    assert "holds no graph" in finding.sentence
