"""What was decided by measurement: the candidates, the choice and the reason, for the manifest and for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from detector.errors import CalibrationError
from detector.metrics import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.calibration.tuning.quality import Quality

_DIGITS = 6
"""Of what is recorded: the rest is rounding."""


class Subject(StrEnum):
    """What is decided."""

    PROTOTYPES = "prototypes"
    ALPHAS = "alphas"
    SMOOTHNESS = "smoothness of prototypes"
    THRESHOLDS = "thresholds per class"
    SECOND_STAGE = "second stage"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One of several things to do.

    Args:
        name: In words.
        forwards: What the guard would cost, classifier forwards per image.
        quality: With its 95 % interval.
        behind: By how much it is worse than the best that may be chosen; negative where it is better and may not.
        behind_error: The standard error of that difference, on the same images.
        worst: The lowest of what `quality` is the mean of, and of what; empty where it is no mean.
        barred: Why it may not be chosen; empty where it may.
    """

    name: str
    forwards: int
    quality: Estimate
    behind: float
    behind_error: float
    worst: str = ""
    barred: str = ""


@dataclass(frozen=True, kw_only=True)
class TuningDecision:
    """One decision.

    Args:
        subject: About what.
        measure: What `quality` of its candidates is.
        images: On which images it was measured.
        candidates: What was tried, in the order it was tried.
        chosen: The name of one of them.
        why: In a sentence.
    """

    subject: Subject
    measure: str
    images: str
    candidates: tuple[Candidate, ...]
    chosen: str
    why: str

    @property
    def choice(self) -> Candidate:
        """The candidate that was chosen."""
        return next(one for one in self.candidates if one.name == self.chosen)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that `from_json` reads back."""
        return asdict(self) | {"subject": self.subject.value, "candidates": [asdict(one) for one in self.candidates]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> TuningDecision:
        """Read what `to_json` wrote.

        Raises:
            CalibrationError: A field is missing or out of range.
        """
        try:
            candidates = tuple(
                Candidate(**{**one, "quality": Estimate(**one["quality"])}) for one in fields["candidates"]
            )
            decision = cls(**{**fields, "subject": Subject(fields["subject"]), "candidates": candidates})
            if decision.chosen not in {one.name for one in candidates}:
                raise CalibrationError(f"a tuning decision chose {decision.chosen!r}, which is no candidate")
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"tuning decision: unreadable field: {error!r}") from error
        return decision


@dataclass(frozen=True, eq=False)
class Tried:
    """A candidate that was measured.

    Args:
        name: In words.
        forwards: What the guard would cost.
        quality: How good it is.
        barred: Why it may not be chosen; empty where it may.
    """

    name: str
    forwards: int
    quality: Quality
    barred: str = ""


def decide(
    subject: Subject, tried: Sequence[Tried], *, standing: str, measure: str, images: str, kept: bool = False
) -> TuningDecision:
    """Choose the cheapest candidate that is no worse than the best by more than one standard error.

    The error is that of the difference, on the same images. Of several that cost the same, the one in place stays if it
    is among them, else the best of them is taken.

    Args:
        subject: About what.
        tried: What was measured; names differ.
        standing: The name of what is done without tuning; need not be among them.
        measure: What their quality is.
        images: On which images it was measured.
        kept: Whether the user has chosen already, `standing`.

    Raises:
        CalibrationError: None may be chosen; says what the cheapest costs.
    """
    free = [one for one in tried if not one.barred]
    if not free:
        least = min(tried, key=lambda one: one.forwards)
        raise CalibrationError(
            f"tuning: {subject.value}: no candidate may be chosen; the cheapest costs {least.forwards} forwards per "
            f"image ({least.barred})"
        )
    best = max(free, key=lambda one: (one.quality.value, -one.forwards))
    gaps = {one.name: one.quality.behind(best.quality) for one in tried}
    level = [one for one in free if gaps[one.name][0] <= gaps[one.name][1]]
    chosen = min(level, key=lambda one: (one.forwards, one.name != standing, -one.quality.value))
    if kept:
        why = "given by the user, so not chosen here"
    else:
        why = _reason(chosen, best, len(level), gaps[chosen.name], standing)
    return TuningDecision(
        subject=subject,
        measure=measure,
        images=images,
        candidates=tuple(_candidate(one, gaps[one.name]) for one in tried),
        chosen=chosen.name,
        why=why,
    )


def _reason(chosen: Tried, best: Tried, level: int, gap: tuple[float, float], standing: str) -> str:
    if chosen is best:
        return f"the best, and {'no other is' if level == 1 else 'nothing cheaper is'} within one standard error of it"
    cheaper = chosen.forwards < best.forwards
    merit = "the cheapest" if cheaper else "in place already" if chosen.name == standing else "cheaper than the best"
    return (
        f"{merit}, and one of {level} within one standard error of the best, {best.name}: {gap[0]:.4f} behind, give or "
        f"take {gap[1]:.4f}"
    )


def _candidate(one: Tried, gap: tuple[float, float]) -> Candidate:
    found = one.quality.estimate
    parts = one.quality.parts
    lowest = min(parts, key=lambda name: parts[name], default="")
    worst = f"{parts[lowest]:.3f} ({lowest})" if len(parts) > 1 else ""
    return Candidate(
        name=one.name,
        forwards=one.forwards,
        quality=Estimate(*(round(value, _DIGITS) for value in (found.value, found.low, found.high))),
        behind=round(gap[0], _DIGITS),
        behind_error=round(gap[1], _DIGITS),
        worst=worst,
        barred=one.barred,
    )
