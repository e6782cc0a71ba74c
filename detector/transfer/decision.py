"""The decision: keep the calibration, set its thresholds anew, or calibrate anew; and what would have changed it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from detector.transfer.evidence import Subject

if TYPE_CHECKING:
    from detector.transfer.evidence import Evidence, Finding


class Choice(StrEnum):
    """What becomes of a calibration.

    KEEP: prototypes, scorer and thresholds stay. RE_THRESHOLD: prototypes and scorer stay, and thresholds are set by
    new images. RECALIBRATE: nothing stays.
    """

    KEEP = "keep"
    RE_THRESHOLD = "re-threshold"
    RECALIBRATE = "recalibrate"


@dataclass(frozen=True)
class _Rule:
    """What a choice takes: everything on some subjects, nothing against it on others, and one thing of the last."""

    everything: tuple[Subject, ...]
    nothing_against: tuple[Subject, ...] = (Subject.LOST,)
    any_of: tuple[Subject, ...] = ()


_RULES: Final = {
    Choice.KEEP: _Rule((Subject.SCORER, Subject.RATE, Subject.SHIFT, Subject.PROTOTYPES)),
    Choice.RE_THRESHOLD: _Rule(
        (Subject.SCORER, Subject.PROTOTYPES, Subject.ROOM), any_of=(Subject.BARRIER, Subject.DETECTION)
    ),
}
"""In the order in which they are tried; where neither holds, RECALIBRATE."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided, and why.

    Args:
        choice: What becomes of the calibration.
        because: Why, in a sentence.
        against: For each choice that carries over more, what stands against it, in words.
        supports: The findings that the choice rests on; were one of them otherwise, it would fall.
    """

    choice: Choice
    because: str
    against: dict[Choice, tuple[str, ...]]
    supports: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "choice": self.choice.value,
            "because": self.because,
            "against": {choice.value: list(reasons) for choice, reasons in self.against.items()},
            "rests_on": [finding.name for finding in self.supports],
        }


def decide(evidence: Evidence) -> Decision:
    """Take the choice that carries over most of what the evidence allows."""
    against: dict[Choice, tuple[str, ...]] = {}
    for choice, rule in _RULES.items():
        reasons = _against(rule, evidence)
        if not reasons:
            return Decision(choice=choice, because=_WHY[choice], against=against, supports=_supports(rule, evidence))
        against[choice] = reasons
    failed = tuple(finding for finding in evidence if finding.holds is False)
    return Decision(choice=Choice.RECALIBRATE, because=_WHY[Choice.RECALIBRATE], against=against, supports=failed)


_WHY: Final = {
    Choice.KEEP: (
        "At the old thresholds benign images are flagged as often as promised, neither scores nor path profiles have "
        "shifted, and the prototypes are kept: the calibration is carried over as it is."
    ),
    Choice.RE_THRESHOLD: (
        "The prototypes are kept, and the two networks are connected or the scorer detects as before, but the "
        "thresholds are the old classifier's: they are set anew by some of the images, and checked on the others."
    ),
    Choice.RECALIBRATE: (
        "The evidence does not allow to carry anything over: prototypes, scorer and thresholds are to be made anew."
    ),
}


def _against(rule: _Rule, evidence: Evidence) -> tuple[str, ...]:
    reasons = []
    for subject in (*rule.everything, *rule.nothing_against):
        findings = evidence.of(subject)
        reasons += [_would_have_to(finding) for finding in findings if finding.holds is False]
        if subject in rule.everything and not any(finding.holds is not None for finding in findings):
            reasons += [f"{finding.name} has no say, and is needed: {finding.sentence}" for finding in findings]
    others = [finding for subject in rule.any_of for finding in evidence.of(subject)]
    if rule.any_of and not any(finding.holds for finding in others):
        told = [_would_have_to(finding) for finding in others if finding.holds is False]
        told += [finding.sentence for finding in others if finding.figure is None]
        reasons.append(f"one of these would have to hold: {'; '.join(told)}")
    return tuple(reasons)


def _supports(rule: _Rule, evidence: Evidence) -> tuple[Finding, ...]:
    subjects = (*rule.everything, *rule.nothing_against, *rule.any_of)
    return tuple(finding for subject in subjects for finding in evidence.of(subject) if finding.holds)


def _would_have_to(finding: Finding) -> str:
    return f"{finding.name} would have to be {finding.wanted}: {finding.sentence}"
