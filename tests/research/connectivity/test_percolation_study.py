from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.progress import Silence
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.claims import claims_markdown
from detector.research.connectivity.percolation_jobs import PercolationOptions
from detector.research.connectivity.percolation_study import percolation_study
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Study


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """One without a classifier."""
    runner = LocalRunner(Models(classifier=None, gradients=None))  # type: ignore[arg-type] # percolation asks none
    return Workplace(None, StageStore(tmp_path / "stages", {}), runner, Silence(), tmp_path)


def _agreement(study: Study) -> list[bool | None]:
    return [claim.agrees for claim in study.claims]


def test_the_study_says_what_of_the_conjecture_holds(workplace: Workplace) -> None:
    study = percolation_study(workplace, PercolationOptions().quick())
    # Below and above the threshold, and the lattice; networks: connected, but neither by independence nor straight.
    assert _agreement(study) == [True, True, True, True, True, False, False]
    assert study.arrays["cubes/connectivity"].shape == (4, 20, 4)
    assert study.arrays["boxes/thresholds"].shape == (6, 20)
    assert study.arrays["networks/found"].shape == (3, 3, 4, 5)
    assert study.arrays["searched/counts"].sum(axis=2).tolist() == [[20] * 4]
    page = document("Percolation", paragraph("all of it"), study.sections)
    assert page.count("<svg") == 4
    assert "nan" not in page
    assert claims_markdown(study.claims).count("| no |") == 2


def test_it_goes_on_where_it_was(workplace: Workplace) -> None:
    options = replace(
        PercolationOptions(), dimensions=(4, 6), trials=4, searched=(), pairs=5, boxes=((2, 4),), networks=2
    )
    options = replace(options, network_dimensions=(5, 6), network_searched=())
    first = percolation_study(workplace, options)
    found = sorted(file.stat().st_mtime_ns for file in workplace.store.folder.iterdir())
    again = percolation_study(workplace, options)
    assert sorted(file.stat().st_mtime_ns for file in workplace.store.folder.iterdir()) == found
    assert first.figures == again.figures
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(values, again.arrays[name])
