"""What the guard does not do, in plain words, each sentence from a figure of the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from detector.evaluation.results import AdaptiveCurve, AttackResult, Control, Detected, ScorerResult, TramerCheck
    from detector.metrics import RealisedRate

_POOR = 0.8  # of a rate of detection
_MOST = 2.0  # times the target
_PROTOTYPES_MATTER = 0.005


def plain_limits(
    attacks: Sequence[AttackResult],
    controls: Sequence[Control],
    adaptive: Sequence[AdaptiveCurve],
    detected: RealisedRate | None,
    *,
    suspect_rate: float,
) -> list[str]:
    """Sentences for the report, the gravest first.

    Args:
        attacks: All attacks that do not know the guard.
        controls: Images nobody attacked.
        adaptive: Attacks that do.
        detected: Of the attacked images, those whose every successful attack is flagged.
        suspect_rate: The target that counts.
    """
    return [
        *_informed(adaptive),
        *_missed(attacks, suspect_rate),
        *_any_attack(detected),
        *_alarms(controls, suspect_rate),
    ]


def prototypes_share(whole: ScorerResult, without: ScorerResult | None) -> list[str]:
    """Whether the paths to prototypes earn what they cost beside the other evidence."""
    if without is None or not whole.attacks:
        return []
    gain = mean_auroc(whole.attacks) - mean_auroc(without.attacks)
    if gain >= _PROTOTYPES_MATTER:
        return []
    cost = whole.forwards_per_image - without.forwards_per_image
    sentence = (
        f"Beside the other evidence the paths to prototypes change the mean AUROC by {gain:+z.3f}, for {cost:g} of "
        f"{whole.forwards_per_image:g} forwards: they explain a verdict rather than improve it."
    )
    return [sentence]


def mean_auroc(attacks: Mapping[str, Detected]) -> float:
    """Over attacks, each counting the same; at least one."""
    return float(np.mean([detected.auroc.value for detected in attacks.values()]))


def tramer_note(check_of: TramerCheck) -> str:
    """How to read the half-radius check."""
    levels = check_of.radius * 255
    return (
        f"Attacks of this run leave {check_of.robust_with_rejection:.0%} within {levels:g}/255. Were that the truth "
        f"for every attack, it would imply a classifier with {check_of.implied_robust_at_half:.0%} robust accuracy at "
        f"{levels / 2:g}/255. Adversarially trained networks reach about 80 % there on CIFAR-10; a guard around an "
        "ordinary network that implies as much or more has not been attacked well enough."
    )


def _informed(adaptive: Sequence[AdaptiveCurve]) -> Iterator[str]:
    points = [(point.sr5, curve, point) for curve in adaptive for point in curve.points]
    if not points:
        yield "No attacker who knows the guard was tried: expect such an attacker to win."
        return
    rate, curve, point = max(points, key=lambda entry: (entry[0], -entry[2].budget))
    yield (
        f"An attacker who knows the guard gets past it: {curve.name} succeeds unflagged on {rate:.0%} of images at "
        f"{point.budget * 255:g}/255 ({curve.configuration})."
    )


def _missed(attacks: Sequence[AttackResult], rate: float) -> Iterator[str]:
    for attack in sorted(attacks, key=lambda attack: attack.included.tpr_suspect):
        if attack.included.tpr_suspect < _POOR:
            yield (
                f"{attack.name}: {1 - attack.included.tpr_suspect:.0%} of successes go unflagged at a "
                f"false-positive rate of {rate:.0%}."
            )
    unseen = [a for a in attacks if a.left_out is not None and a.left_out.tpr_suspect < _POOR]
    if unseen:
        names = ", ".join(f"{a.name} ({a.left_out.tpr_suspect:.0%} flagged)" for a in unseen if a.left_out is not None)
        yield f"Had calibration seen nothing like them, less than {_POOR:.0%} of these would be caught: {names}."


def _any_attack(detected: RealisedRate | None) -> Iterator[str]:
    if detected is not None and detected.flagged < detected.total:
        yield (
            f"An attacker who may choose among all these attacks finds one that goes unflagged for "
            f"{1 - detected.rate:.0%} of images."
        )


def _alarms(controls: Sequence[Control], rate: float) -> Iterator[str]:
    often = [control for control in controls if control.suspect.rate > _MOST * rate]
    if often:
        names = "; ".join(f"{control.name}, {control.suspect.rate:.0%}" for control in often)
        yield f"Flagged more than {_MOST:g} times as often as the target though nobody attacked them: {names}."
