"""The study of trajectories on digits: every permutation at every epoch, and hybrids of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.permutation.hybrids import Hybrid
from detector.research.permutation.networks import NetworkOptions
from detector.research.permutation.trajectories import NONE, TOGETHER, Trajectory
from detector.research.permutation.trajectory_study import TrajectoryOptions, study
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Study

OPTIONS = TrajectoryOptions(
    images=labelled_digits().take(range(700)),
    networks=NetworkOptions(epochs=5),
    width=24,
    pairs=2,
    at=(0, 1, 5),
    points=5,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("trajectory")
    return folder, study(workplace(folder), OPTIONS)


def _trajectory(found: tuple[Path, Study]) -> Trajectory:
    return Trajectory("", OPTIONS.epochs, ("1.weight", "3.weight", "5.weight"), dict(found[1].arrays))


def test_every_permutation_is_applied_at_every_epoch(found: tuple[Path, Study]) -> None:
    arrays = found[1].arrays
    assert arrays["applied"].shape == (2, 5, 3, 2, 2)  # none, three epochs, all trained together
    assert arrays["hybrids"].shape == (2, 2, len(Hybrid), 3, 2)
    trajectory = _trajectory(found)
    assert trajectory.names == (NONE, "epoch 0", "epoch 1", "epoch 5", TOGETHER)
    assert trajectory.errors("epoch 5").shape == (3,)
    # At the end its own permutation is better than none.
    assert trajectory.losses("epoch 5")[-1] < trajectory.losses(NONE)[-1]


def test_hybrids_of_all_layers_are_the_checkpoints_themselves(found: tuple[Path, Study]) -> None:
    arrays = found[1].arrays
    for early in range(2):
        whole = arrays["applied"][:, 1 + early, -1, 0]
        np.testing.assert_allclose(arrays["hybrids"][:, early, list(Hybrid).index(Hybrid.BOTTOM_UP), -1], whole)
        np.testing.assert_allclose(arrays["hybrids"][:, early, list(Hybrid).index(Hybrid.TOP_DOWN), 0], whole)
        one, alone = (list(Hybrid).index(kind) for kind in (Hybrid.BOTTOM_UP, Hybrid.PUT_IN))
        np.testing.assert_allclose(arrays["hybrids"][:, early, one, 0], arrays["hybrids"][:, early, alone, 0])


def test_the_last_permutation_agrees_with_itself(found: tuple[Path, Study]) -> None:
    final = _trajectory(found).final
    assert final[-1].value == 1
    assert final[0].value < 1


def test_figures_and_pages_hold_all_of_it(found: tuple[Path, Study]) -> None:
    one = found[1]
    assert one.figures["epochs"] == [0, 1, 5]
    assert list(one.figures["hybrids"]) == ["0", "1"]
    page = document("Trajectory", paragraph("all of it"), one.sections)
    assert page.count("<svg") == len(one.charts) == 4
    assert all("n = 2" in chart or "2 pairs" in chart for chart in one.charts.values())
    assert "mathdefault" not in page
    assert len(one.claims) == 6


def test_what_is_finished_is_found_again(found: tuple[Path, Study]) -> None:
    folder, first = found
    place = workplace(folder)
    assert study(place, OPTIONS).figures == first.figures
    assert place.progress.stages == []  # type: ignore[attr-defined] # a Recorder


@pytest.mark.parametrize(("epochs", "at"), [(12, (0, 1, 2, 4, 8, 12)), (2, (0, 1, 2)), (8, (0, 1, 2, 4, 8))])
def test_checkpoints_double_if_none_are_chosen(epochs: int, at: tuple[int, ...]) -> None:
    assert TrajectoryOptions(images=OPTIONS.images, networks=NetworkOptions(epochs=epochs)).epochs == at


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": 1}, "pairs must lie in 2"),
        ({"width": 1}, "width must be at least 2"),
        ({"points": 2}, "points be at least 3"),
        ({"at": (1, 2, 12)}, "rise from 0 to 12"),
        ({"at": (0, 12)}, "three or more"),
        ({"at": (0, 1, 8)}, "rise from 0 to 12"),
        ({"networks": NetworkOptions(epochs=1)}, "three or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        TrajectoryOptions(images=OPTIONS.images, **given)
