"""What a server says of an image, what it must say, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector import Detection, Verdict

SCORE_TOLERANCE: Final = 1e-4
"""How far two scores of one image may lie apart, nats; relative, above 1. A batch's other images change no more."""


@dataclass(frozen=True)
class Answer:
    """The part of an answer that is checked.

    Args:
        label: Name of the predicted class.
        score: Higher means more adversarial, nats.
        verdict: From the p-value.
    """

    label: str
    score: float
    verdict: Verdict


def answers_of(detection: Detection) -> list[Answer]:
    """What a detector in this process says of each image."""
    return [
        Answer(label, float(score), verdict)
        for label, score, verdict in zip(detection.labels, detection.scores, detection.verdicts, strict=True)
    ]


def difference(found: Sequence[Answer], wanted: Sequence[Answer]) -> str:
    """In what a reply is wrong, as few texts as possible: statistics have a row for each; empty where it is right."""
    if len(found) != len(wanted):
        return "another number of images"
    parts = {part: None for one, other in zip(found, wanted, strict=True) for part in _parts(one, other)}
    return ", ".join(part for part in ("label", "verdict", "score") if part in parts)


def _parts(found: Answer, wanted: Answer) -> list[str]:
    apart = abs(found.score - wanted.score)
    same_score = apart <= SCORE_TOLERANCE * max(1.0, abs(wanted.score))  # NaN is never the same
    agree = {"label": found.label == wanted.label, "verdict": found.verdict == wanted.verdict, "score": same_score}
    return [part for part, same in agree.items() if not same]
