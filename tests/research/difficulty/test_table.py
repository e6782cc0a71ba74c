"""A table of scores gives what it was given, and refuses what is no table."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.difficulty.table import ScoreTable

_VALUES = np.arange(2 * 3 * 2 * 5, dtype=float).reshape(2, 3, 2, 5)
_TABLE = ScoreTable(("mlp", "cnn"), ("loss", "el2n"), _VALUES)


def test_its_parts_are_found_by_name() -> None:
    assert (_TABLE.runs, _TABLE.examples) == (3, 5)
    np.testing.assert_array_equal(_TABLE.of("cnn"), _VALUES[1])
    np.testing.assert_array_equal(_TABLE.of("cnn", "loss"), _VALUES[1, :, 0])
    np.testing.assert_array_equal(_TABLE.only(["el2n", "loss"]).of("mlp", "loss"), _VALUES[0, :, 0])


@pytest.mark.parametrize(
    ("architectures", "scores", "values", "said"),
    [
        (("mlp", "mlp"), ("loss", "el2n"), _VALUES, "architectures must differ"),
        (("mlp", "cnn"), ("loss", "loss"), _VALUES, "scores must differ"),
        (("mlp",), ("loss", "el2n"), _VALUES, r"have no shape \(2, 3, 2, 5\)"),
        (("mlp", "cnn"), ("loss", "el2n"), _VALUES[0], "have no shape"),
        (("mlp", "cnn"), ("loss", "el2n"), _VALUES[..., :0], "none of them 0"),
        (("mlp", "cnn"), ("loss", "el2n"), np.where(_VALUES == 5, np.nan, _VALUES), "el2n is not finite"),
    ],
)
def test_what_is_no_table_is_refused(
    architectures: tuple[str, ...], scores: tuple[str, ...], values: np.ndarray, said: str
) -> None:
    with pytest.raises(AnalysisError, match=said):
        ScoreTable(architectures, scores, values)


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(AnalysisError, match="no score 'grand'; there are loss, el2n"):
        _TABLE.of("mlp", "grand")
    with pytest.raises(AnalysisError, match="no architecture 'vgg'; there are mlp, cnn"):
        _TABLE.of("vgg")
