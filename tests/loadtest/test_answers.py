from __future__ import annotations

import math
from dataclasses import replace

import pytest

from detector import Verdict
from loadtest.answers import Answer, difference

CAT = Answer("cat", 2.0, Verdict.BENIGN)
DOG = Answer("dog", 0.5, Verdict.SUSPECT)


def test_the_same_answers_differ_in_nothing() -> None:
    assert not difference([CAT, DOG], [CAT, DOG])
    assert not difference([replace(CAT, score=2.0001)], [CAT])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([CAT], "another number of images"),
        ([DOG, CAT], "label, verdict, score"),
        ([CAT, replace(DOG, score=0.5002)], "score"),
        ([CAT, replace(DOG, score=math.nan)], "score"),
        ([replace(CAT, verdict=Verdict.ADVERSARIAL), DOG], "verdict"),
        ([replace(CAT, label="cow"), replace(DOG, score=9.0)], "label, score"),
    ],
)
def test_what_differs_is_named_once(found: list[Answer], said: str) -> None:
    assert difference(found, [CAT, DOG]) == said
