"""Published statistics, by the code that analyses what is measured here (methods A.6.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.research.connectivity.options import ConnectivityOptions
from detector.research.connectivity.published import read_barriers
from tests.support.analysing import analysed_connectivity
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

OURS = "class,loss1,loss2,max_interpolated_loss\n3,0.1,0.2,0.5\n\n4,1,0.5,1\n"
THEIRS = """Class,Image1,Image2,Loss1,Loss2,Max Interpolated Loss,Abs_Loss_Diff
3,a.jpg,"b, c.jpg",0.1,0.2,0.5,0.1
4,d.jpg,e.jpg,1.0,0.5,1.0,0.5
"""


@pytest.mark.parametrize("text", [OURS, THEIRS, "\ufeff" + OURS, OURS.replace("\n", "\r\n")])
def test_both_ways_of_naming_columns_are_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "barriers.csv"
    file.write_text(text, encoding="utf-8")
    found = read_barriers(file)
    assert found.classes.tolist() == [3, 4]
    np.testing.assert_allclose(found.ends, [0.2, 1])
    np.testing.assert_allclose(found.gaps, [0.3, 0])


def test_the_authors_sample_comes_to_their_figures(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "paper_barriers"
    files = {
        "within-class": folder / "within_class_sample.csv",
        "adversarial": folder / "cross_class_adversarial_sample.csv",
    }
    found = analysed_connectivity(None, ConnectivityOptions(barriers=files), tmp_path, Recorder())
    (study,) = found.studies
    kinds = study.figures["kinds"]
    means = {kind: one["measures"]["gap"]["mean"]["value"] for kind, one in kinds.items()}
    assert means["within-class"] == pytest.approx(0.91, abs=0.15)
    assert means["adversarial"] == pytest.approx(5.34, abs=0.5)
    views = study.figures["beside within-class"]["adversarial"]
    gap = views["all pairs"]["measures"]["gap"]
    assert gap["auroc"]["low"] < 0.95 < gap["auroc"]["high"]
    assert gap["found"] == pytest.approx(0.79, abs=0.08)
    assert gap["auroc"]["value"] > views["all pairs"]["measures"]["height"]["auroc"]["value"]
    assert views["both ends of low loss"]["measures"]["gap"]["auroc"]["value"] == pytest.approx(0.952, abs=0.03)
    assert [row["reference"] for row in study.figures["blocks of classes"]["adversarial"]] == [100, 101]
    assert [claim.agrees for claim in study.claims] == [True] * 4
    assert (tmp_path / "report.html").read_text().count("<svg") == 2
