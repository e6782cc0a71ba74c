from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from loadtest.bars import Tally, Thresholds, bar_table, judged

GOOD = Tally(answered=90, wrong=0, refused=9, failed=1, seconds=10, p99={"Score": 40, "ScoreStream": 60}, crashes=0)
ASKED = Thresholds(max_p99=60, max_failure_share=0.01, max_refused_share=0.09, min_rate=9)


def failing(tally: Tally, asked: Thresholds = ASKED) -> list[str]:
    return [bar.name for bar in judged(tally, asked) if not bar.holds]


def test_limits_that_are_just_kept_hold() -> None:
    assert not failing(GOOD)
    assert len(judged(GOOD, ASKED)) == 7


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"p99": {"Score": 40, "ScoreStream": 61}}, "p99 at most 60 ms"),
        ({"answered": 89, "failed": 2}, "at most 1.000% failed"),
        ({"answered": 89, "refused": 10}, "at most 9.000% refused"),
        ({"wrong": 1}, "all answers as computed offline"),
        ({"crashes": 1}, "no errors of the load generator"),
        ({"seconds": 10.1}, "at least 9 answered/s"),
    ],
)
def test_each_has_its_bar(changes: dict[str, object], name: str) -> None:
    assert name in failing(replace(GOOD, **changes))  # type: ignore[arg-type] # of any field


def test_a_load_without_an_answer_fails_whatever_is_asked() -> None:
    nothing = Tally(answered=0, wrong=0, refused=0, failed=0, seconds=0, p99={}, crashes=0)
    assert failing(nothing, Thresholds()) == ["something is answered"]
    assert "p99 at most 60 ms" in failing(nothing)


def test_the_slowest_kind_of_request_is_named() -> None:
    found = {bar.name: bar.found for bar in judged(GOOD, ASKED)}
    assert found["p99 at most 60 ms"] == "60 ms (ScoreStream)"


def test_the_table_says_which_fail() -> None:
    out = StringIO()
    Console(file=out, width=100).print(bar_table(judged(replace(GOOD, wrong=2), ASKED)))
    (failing_row,) = (line for line in out.getvalue().splitlines() if "FAIL" in line)
    assert "all answers as computed offline" in failing_row
    assert "2 wrong" in failing_row
