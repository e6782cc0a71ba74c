from __future__ import annotations

import io
import json

import pytest

from detector.cli.answers import Answer
from detector.cli.rendering import OutputFormat, Tally, writing
from detector.verdicts import Verdict

GOOD = Answer(
    image='odd, "name".png',
    label="3",
    prediction="8",
    probability=0.5,
    score=2.0,
    p_value=0.01,
    stratum=4,
    verdict=Verdict.SUSPECT,
)
BAD = Answer(image="bad.png", error="is empty")


def rendered(style: OutputFormat, *answers: Answer) -> str:
    stream = io.StringIO()
    with writing(stream, style, labels=("8", "a name that is much longer than the column may be")) as writer:
        for answer in answers:
            writer.write(answer)
    return stream.getvalue()


def test_json_has_null_for_what_is_not_known() -> None:
    good, bad = json.loads(rendered(OutputFormat.JSON, GOOD, BAD))
    assert good == {
        "image": 'odd, "name".png',
        "label": "3",
        "prediction": "8",
        "probability": 0.5,
        "score": 2.0,
        "p_value": 0.01,
        "verdict": "SUSPECT",
        "barrier_height": None,
        "barrier_gap": None,
        "stratum": 4,
        "error": None,
    }
    assert {name: value for name, value in bad.items() if value is not None} == {
        "image": "bad.png",
        "error": "is empty",
    }


def test_no_answers_are_an_empty_array() -> None:
    assert json.loads(rendered(OutputFormat.JSON)) == []


def test_csv_quotes_and_leaves_empty() -> None:
    assert rendered(OutputFormat.CSV, GOOD, BAD).splitlines() == [
        "image,label,prediction,probability,score,p_value,verdict,barrier_height,barrier_gap,stratum,error",
        '"odd, ""name"".png",3,8,0.5,2.0,0.01,SUSPECT,,,4,',
        "bad.png,,,,,,,,,,is empty",
    ]


@pytest.mark.parametrize("prediction", ["8", "a name that is much longer than the column may be"])
def test_the_columns_of_a_table_stay_where_they_are(prediction: str) -> None:
    answer = Answer(image="x.png", prediction=prediction, probability=1, score=2, p_value=0.5, verdict=Verdict.BENIGN)
    heading, row = rendered(OutputFormat.TABLE, answer).splitlines()
    assert heading.index("IMAGE") == row.index("x.png")


def test_names_are_not_taken_for_markup() -> None:
    assert "[red]x[/red].png" in rendered(OutputFormat.TABLE, Answer(image="[red]x[/red].png", error="[bold]"))


def test_a_tally_counts_and_remembers_the_first_error() -> None:
    tally = Tally()
    for answer in (BAD, GOOD, GOOD, Answer(image="worse.png", error="is worse")):
        tally.add(answer)
    assert str(tally) == "2 images: 0 BENIGN, 2 SUSPECT, 0 ADVERSARIAL; 2 could not be scored"
    assert tally.first_error is BAD
