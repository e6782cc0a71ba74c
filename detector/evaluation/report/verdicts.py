"""Questions a reader has, answered from the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.evaluation.report import contenders
from detector.evaluation.report.lines import in_levels
from detector.reporting import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from detector.evaluation.results import AdaptiveCurve, CurvePoint, EvaluationResults

_USUAL_LEVELS = 8
"""The Linf budget papers compare at, in 255ths."""
_MOST_TIMES_TARGET = 2
"""How much more often than benign ones images nobody attacked may be flagged."""
_WON = 0.5


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a word or number, whether that is good (None: neither), and what it rests on."""

    question: str
    answer: str
    good: bool | None
    finding: str


def answers(results: EvaluationResults) -> Iterator[Answer]:
    """All questions that the results can answer."""
    if results.benign_p_values:
        yield _promise(results)
    if results.controls:
        yield _controls(results)
    if results.attacks:
        yield _unseen(results)
    rate = results.all_attacks_detected
    if rate is not None and rate.total:
        finding = f"of {rate.total} attacked images every successful attack was flagged: {numbers.realised(rate)}"
        yield Answer("Is every attack on an image caught?", numbers.percent(rate.rate), None, finding)
    if results.robust_accuracy.total:
        rate = results.robust_accuracy
        finding = f"{numbers.realised(rate)} of benign images are let through and stay out of reach of these attacks"
        yield Answer("Robust accuracy with rejection?", numbers.percent(rate.rate), None, finding)
    if results.peers and results.attacks:
        yield from _peers(results)
    if strongest := strongest_adaptive(results.adaptive):
        yield _adaptive(strongest)
    if results.checks:
        failed = [one.name for one in results.checks if not one.passed]
        finding = f"failed: {', '.join(failed)}" if failed else f"all {len(results.checks)} passed"
        yield Answer("Can the figures be trusted (self-checks)?", "no" if failed else "yes", not failed, finding)


def _promise(results: EvaluationResults) -> Answer:
    kept, findings = True, []
    for name, target in (("SUSPECT", results.suspect_rate), ("ADVERSARIAL", results.adversarial_rate)):
        rate = contenders.flagged(results.benign_p_values, target)
        if rate is not None:
            kept = kept and rate.low <= target
            findings.append(f"{name} {numbers.realised(rate)}, promised {numbers.target(target)}")
    return Answer("Is the promised false-positive rate kept?", "yes" if kept else "no", kept, "; ".join(findings))


def _controls(results: EvaluationResults) -> Answer:
    most = _MOST_TIMES_TARGET * results.suspect_rate
    often = [one for one in results.controls if one.suspect.total and one.suspect.rate > most]
    finding = f"flagged SUSPECT at most {numbers.target(most)} of the time: {{}} of {len(results.controls)} kinds"
    finding = finding.format(len(results.controls) - len(often))
    if often:
        finding += "; not " + ", ".join(f"{one.name} ({numbers.percent(one.suspect.rate)})" for one in often)
    return Answer("Are images nobody attacked left alone?", "not all" if often else "yes", not often, finding)


def _unseen(results: EvaluationResults) -> Answer:
    guard = contenders.guard(results)
    over = guard.left_out
    if over is None or not guard.needs_attacks or guard.included is None:
        return Answer(
            "Does it catch attacks it never saw?", "it learns from none", None, "no attack is used in training"
        )
    finding = (
        f"mean AUROC {numbers.auroc(over.mean)} with an attack's kin left out of training, "
        f"{numbers.auroc(guard.included.mean)} with it; worst {numbers.auroc(over.worst)} ({over.worst_attack})"
    )
    return Answer("Does it catch attacks it never saw?", f"AUROC {numbers.auroc(over.mean)}", None, finding)


def _peers(results: EvaluationResults) -> Iterator[Answer]:
    guard, peers = contenders.guard(results), contenders.peers(results)
    behind = [one.name for one in peers if not guard.ahead_of(one)]
    where = "mean and worst AUROC, attacks included and left out"
    yield _ahead("Is it ahead of every peer?", len(peers), behind, where)
    ours = [guard, *contenders.channels(results)]
    behind = [
        peer.name for peer in peers if not any(one.forwards <= peer.forwards and one.ahead_of(peer) for one in ours)
    ]
    where = "the same, by the guard or a part of it that costs no more than the peer"
    yield _ahead("Is it so at equal or lower cost?", len(peers), behind, where)


def _ahead(question: str, peers: int, behind: list[str], where: str) -> Answer:
    finding = f"{where}: ahead of {peers - len(behind)} of {peers}"
    if behind:
        finding += f"; not of {', '.join(behind)}"
    return Answer(question, "not of all" if behind else "yes", not behind, finding)


def strongest_adaptive(
    curves: Sequence[AdaptiveCurve],
) -> dict[str, tuple[AdaptiveCurve, CurvePoint]]:
    """Per configuration of the guard, the attack with the highest SR@5 at 8/255; empty where none was run at it."""
    best: dict[str, tuple[AdaptiveCurve, CurvePoint]] = {}
    for curve in curves:
        for point in curve.points:
            if in_levels(curve) and round(point.budget * 255, 3) == _USUAL_LEVELS:
                known = best.get(curve.configuration)
                if known is None or point.sr5 > known[1].sr5:
                    best[curve.configuration] = (curve, point)
    return best


def _adaptive(strongest: dict[str, tuple[AdaptiveCurve, CurvePoint]]) -> Answer:
    parts = [
        f"{configuration}: SR@5 {numbers.percent(point.sr5)} ({curve.name})"
        for configuration, (curve, point) in strongest.items()
    ]
    stopped = all(point.sr5 < _WON for _, point in strongest.values())
    finding = f"strongest attack found at {_USUAL_LEVELS}/255 against each configuration: {'; '.join(parts)}"
    return Answer("Does it stop an attacker who knows it?", "mostly" if stopped else "no", stopped, finding)
