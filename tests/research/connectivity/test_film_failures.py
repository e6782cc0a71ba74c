from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.errors import AnalysisError, GradientsUnavailableError
from detector.paths.bypass import BypassOptions
from detector.research.connectivity.film import FILE, FilmOptions, study
from tests.support.calibrating import unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Workplace

OPTIONS = FilmOptions(pool=4, half=1, attack_steps=1, bypass=BypassOptions(steps=1, stop_loss=0))


def test_inputs_labels_and_gradients_are_needed(workplace: Workplace) -> None:
    inputs = workplace.inputs
    assert inputs is not None
    with pytest.raises(AnalysisError, match="a classifier and its images"):
        study(replace(workplace, inputs=None), OPTIONS)
    with pytest.raises(AnalysisError, match="labelled"):
        study(replace(workplace, inputs=unlabelled(inputs)), OPTIONS)
    with pytest.raises(GradientsUnavailableError, match="without gradients"):
        study(replace(workplace, inputs=replace(inputs, gradients=None)), OPTIONS)


def test_what_can_not_be_filmed_is_said_and_no_page_is_written(workplace: Workplace, tmp_path: Path) -> None:
    """No image is so sure of its class."""
    found = study(replace(workplace, folder=tmp_path), replace(OPTIONS, epsilon=1e-12))
    assert len(found.missing) == 3
    assert found.figures["films"] == []
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [({"pool": 0}, "pool"), ({"half": 0}, "half"), ({"half": 52}, "half"), ({"epsilon": 0.0}, "epsilon")],
)
def test_options_out_of_range_are_refused_by_name(change: dict[str, float], name: str) -> None:
    with pytest.raises(AnalysisError, match=name):
        replace(OPTIONS, **change)  # type: ignore[arg-type] # wrong on purpose
