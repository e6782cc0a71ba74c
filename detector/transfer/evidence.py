"""Evidence: what was measured of a retrained classifier, each piece with its figure, its bar and a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Subject(StrEnum):
    """What a piece of evidence is about.

    SCORER: whether the scorer can read what the new classifier gives. CANARIES, AGREEMENT, ACCURACY: its answers beside
    the old one's. PROTOTYPES: which of them it still takes for their class. RATE: realised false-positive rates at the
    old thresholds. SHIFT: of scores and path profiles. BARRIER: between the two networks' weights. LAYERS: how far
    apart what they say at each depth is. DETECTION: of an attack on either, and whether it is as good as before. LOST:
    whether it is surely worse. ROOM: whether there are images enough for new thresholds. NEW_RATE: realised
    false-positive rates at new thresholds.
    """

    SCORER = "scorer"
    CANARIES = "canaries"
    AGREEMENT = "agreement"
    ACCURACY = "accuracy"
    PROTOTYPES = "prototypes"
    RATE = "rate"
    SHIFT = "shift"
    BARRIER = "barrier"
    LAYERS = "layers"
    DETECTION = "detection"
    LOST = "lost detection"
    ROOM = "room"
    NEW_RATE = "new rate"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was measured, or that could not be.

    Args:
        subject: What it is about.
        detail: Which of several of the same subject; empty where there is one.
        sentence: What came out, or why nothing did, in words.
        figure: The number; None where it could not be measured.
        low: Lower end of its 95 % interval, where it is a rate or an AUROC.
        high: Upper end.
        bar: What it is held to; None where it is only told.
        wanted: What it has to be to hold, in words; empty where it has no say.
        holds: Whether it is that; None where it has no say in the decision.
    """

    subject: Subject
    detail: str = ""
    sentence: str
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    bar: float | None = None
    wanted: str = ""
    holds: bool | None = None

    @property
    def name(self) -> str:
        """Subject and detail."""
        return f"{self.subject.value}: {self.detail}" if self.detail else self.subject.value

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "subject": self.subject.value}


@dataclass(frozen=True)
class Evidence:
    """All that was found.

    Args:
        findings: In the order in which they are told.
    """

    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def of(self, subject: Subject) -> tuple[Finding, ...]:
        """What was found on one subject."""
        return tuple(finding for finding in self.findings if finding.subject is subject)

    def get(self, subject: Subject, detail: str = "") -> Finding | None:
        """One finding; None where there is none such."""
        return next((finding for finding in self.of(subject) if finding.detail == detail), None)
