from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.errors import AnalysisError
from detector.research.connectivity import published
from detector.research.connectivity.options import ConnectivityOptions
from detector.research.connectivity.published import read_barriers
from tests.support.analysing import analysed_connectivity
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "class,loss1,loss2,max_interpolated_loss\n"
GOOD = HEAD + "1,0.1,0.2,0.5\n"
BAD = {
    "": "empty",
    HEAD: "no row below the head line",
    "class,loss1,loss2\n1,2,3\n": "line 1: no column max_interpolated_loss; there are class, loss1, loss2",
    HEAD.replace("loss2", "loss1"): "line 1: no column loss2",
    "class,Class,loss1,loss2,max_interpolated_loss\n": "line 1: column class is there twice",
    GOOD + "1,0.1,0.2\n": "line 3: 3 cells, but 4 columns",
    GOOD + "1,0.1,nan,0.5\n": "line 3, column loss2: 'nan' is no finite number of at least 0",
    GOOD + "1,inf,0.1,0.5\n": "line 3, column loss1: 'inf' is no finite",
    GOOD + "1,0.1,0.2,-4\n": "line 3, column max_interpolated_loss: '-4' is no finite",
    GOOD + "1,0.1,x,0.5\n": "line 3, column loss2: 'x' is no finite",
    GOOD + "1.5,0.1,0.1,0.5\n": "line 3, column class: '1.5' is no class number",
    GOOD + "1,0.1,0.9,0.5\n": "line 3, column max_interpolated_loss: 0.5 lies below loss2, 0.9",
    GOOD + '1,"0.1,0.9,0.5\n': "not CSV",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named_by_file_line_and_column(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(AnalysisError) as caught:
        read_barriers(file)
    assert str(caught.value).startswith(str(file))
    assert BAD[text] in str(caught.value)


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"class\xff\xfe")
    with pytest.raises(AnalysisError, match="not UTF-8"):
        read_barriers(tmp_path / "bytes.csv")
    with pytest.raises(AnalysisError, match="can't be read: No such file"):
        read_barriers(tmp_path / "absent.csv")
    with pytest.raises(AnalysisError, match="can't be read"):
        read_barriers(tmp_path)


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "large.csv"
    file.write_text(GOOD + "1,0.1,0.2,0.5\n" * 3)
    monkeypatch.setattr(published, "MAX_ROWS", 3)
    with pytest.raises(AnalysisError, match="line 5: more than 3 rows"):
        read_barriers(file)
    monkeypatch.setattr(published, "MAX_BYTES", 20)
    with pytest.raises(AnalysisError, match="at most 20 are read"):
        read_barriers(file)


def test_without_pairs_of_one_class_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text(GOOD)
    for kinds, reason in (
        ({"adversarial": file}, "pass --barriers within-class=FILE"),
        ({"within-class": file}, "at least 2"),
    ):
        with pytest.raises(AnalysisError, match=reason):
            analysed_connectivity(None, ConnectivityOptions(barriers=kinds), tmp_path / "out", Recorder())
