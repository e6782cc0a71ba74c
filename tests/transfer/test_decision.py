"""The rules, on evidence of every kind."""

from __future__ import annotations

import pytest

from detector.transfer.decision import Choice, decide
from detector.transfer.evidence import Evidence, Finding, Subject

SAYS = (
    Subject.SCORER,
    Subject.RATE,
    Subject.SHIFT,
    Subject.PROTOTYPES,
    Subject.ROOM,
    Subject.BARRIER,
    Subject.DETECTION,
    Subject.LOST,
)


def _finding(subject: Subject, holds: bool | None) -> Finding:  # noqa: FBT001 - it is what the tests turn
    return Finding(
        subject=subject,
        sentence=f"about {subject.value}",
        figure=None if holds is None else 1.0,
        wanted=f"good {subject.value}",
        holds=holds,
    )


def _evidence(**others: bool | None) -> Evidence:
    return Evidence(tuple(_finding(subject, others.get(subject.name.lower(), True)) for subject in SAYS))


@pytest.mark.parametrize(
    ("others", "choice"),
    [
        ({}, Choice.KEEP),
        ({"barrier": False, "detection": False, "room": False}, Choice.KEEP),
        ({"rate": False}, Choice.RE_THRESHOLD),
        ({"shift": False}, Choice.RE_THRESHOLD),
        ({"rate": None}, Choice.RE_THRESHOLD),
        ({"rate": False, "barrier": False}, Choice.RE_THRESHOLD),
        ({"rate": False, "barrier": None}, Choice.RE_THRESHOLD),
        ({"rate": False, "detection": False}, Choice.RE_THRESHOLD),
        ({"rate": False, "barrier": False, "detection": False}, Choice.RECALIBRATE),
        ({"rate": False, "barrier": None, "detection": None}, Choice.RECALIBRATE),
        ({"rate": False, "barrier": None, "detection": False}, Choice.RECALIBRATE),
        ({"rate": False, "room": False}, Choice.RECALIBRATE),
        ({"lost": None}, Choice.KEEP),
        ({"rate": False, "lost": None}, Choice.RE_THRESHOLD),
        ({"detection": False, "lost": False}, Choice.RECALIBRATE),
        ({"prototypes": False}, Choice.RECALIBRATE),
        ({"scorer": False}, Choice.RECALIBRATE),
    ],
    ids=str,
)
def test_a_choice_follows_from_what_holds(others: dict[str, bool | None], choice: Choice) -> None:
    assert decide(_evidence(**others)).choice is choice


def test_what_stands_against_more_is_said_with_what_it_would_have_to_be() -> None:
    found = decide(_evidence(rate=False))
    assert found.against == {Choice.KEEP: ("rate would have to be good rate: about rate",)}
    assert {finding.subject for finding in found.supports} == {
        Subject.SCORER,
        Subject.PROTOTYPES,
        Subject.ROOM,
        Subject.BARRIER,
        Subject.DETECTION,
        Subject.LOST,
    }


def test_what_could_not_be_measured_is_said_where_it_was_needed() -> None:
    found = decide(_evidence(rate=None, barrier=None, detection=False))
    assert found.against[Choice.KEEP] == ("rate has no say, and is needed: about rate",)
    (reason,) = found.against[Choice.RE_THRESHOLD]
    assert reason == (
        "one of these would have to hold: detection would have to be good detection: about detection; about barrier"
    )


def test_one_finding_of_a_subject_that_has_a_say_is_enough_and_one_that_fails_is_too_much() -> None:
    plain = _evidence(rate=None).findings
    assert decide(Evidence((*plain, _finding(Subject.RATE, holds=True)))).choice is Choice.KEEP
    failed = (_finding(Subject.RATE, holds=True), _finding(Subject.RATE, holds=False))
    assert decide(Evidence((*plain, *failed))).choice is Choice.RE_THRESHOLD
