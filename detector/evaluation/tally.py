"""Counts over all attacks that do not know the guard: per attack, per image and per class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.threat_models import Norm
from detector.evaluation.results import AttackResult, ClassRow
from detector.metrics import realised_share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from detector.evaluation.material import Attacked, Material
    from detector.evaluation.results import Detected
    from detector.metrics import RealisedRate

_FEWEST_OF_A_CLASS = 10


def attack_results(
    material: Material, included: Mapping[str, Detected], left_out: Mapping[str, Detected]
) -> list[AttackResult]:
    """A row per attack that was judged.

    Args:
        material: The attacks and what the guard said.
        included: How they were detected, by name.
        left_out: The same, their kin left out of training.
    """
    return [
        AttackResult(
            name=name,
            kin=attack.model.kin.value,
            knowledge=attack.model.knowledge.value,
            norm=attack.model.norm.value,
            attacked=attack.tried,
            successful=len(attack.rows),
            included=included[name],
            left_out=left_out.get(name),
            worst_class=_worst_class(material, attack),
            scores=attack.scored.detection.scores.tolist(),
            p_values=attack.scored.detection.p_values.tolist(),
        )
        for name, attack in material.attacked.items()
        if name in included
    ]


def all_attacks_detected(material: Material) -> RealisedRate | None:
    """Of the images that any attack moved, those whose every successful attack is flagged; None if no attack did."""
    moved, missed = _per_image(material, material.attacked.values())
    return realised_share(~missed[moved]) if moved.any() else None


def robust_accuracy(material: Material) -> RealisedRate:
    """Of the images attacked, those let through as they are and brought to no unflagged misclassification."""
    _, missed = _per_image(material, material.attacked.values())
    return realised_share(~_flagged(material, material.benign.detection.p_values[material.targets]) & ~missed)


def robust_within(material: Material, radius: float) -> float:
    """Of all benign images: right, let through, and out of reach of every Linf attack here up to a radius, 0..1."""
    bounded = [
        attack
        for attack in material.attacked.values()
        if attack.model.norm is Norm.LINF and attack.model.budget is not None and attack.model.budget <= radius + 1e-9
    ]
    _, missed = _per_image(material, bounded)
    accepted = material.right & ~_flagged(material, material.benign.detection.p_values)
    spared = ~missed[accepted[material.targets]]
    return float(accepted.mean() * spared.mean()) if len(spared) else 0.0


def class_rows(material: Material) -> list[ClassRow]:
    """Per class: false alarms by the predicted class, detected attacks by the true one."""
    labels = material.detector.bundle.manifest.labels
    detection = material.benign.detection
    alarms = _flagged(material, detection.p_values)
    truth = [material.labels[material.targets[attack.rows]] for attack in material.attacked.values()]
    caught = [_flagged(material, attack.scored.detection.p_values) for attack in material.attacked.values()]
    all_truth = np.concatenate([np.empty(0, np.int64), *truth])
    all_caught = np.concatenate([np.empty(0, np.bool_), *caught])
    rows = []
    for index, label in enumerate(labels):
        of_class = alarms[detection.predicted == index]
        hits = all_caught[all_truth == index]
        if len(of_class):
            rows.append(
                ClassRow(
                    label=label,
                    false_positives=realised_share(of_class),
                    true_positives=realised_share(hits) if len(hits) else None,
                )
            )
    return rows


def _per_image(material: Material, attacks: Iterable[Attacked]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the attacked images any of the attacks moved, and which it moved without being flagged."""
    moved, missed = (np.zeros(len(material.targets), np.bool_) for _ in range(2))
    for attack in attacks:
        moved[attack.rows] = True
        missed[attack.rows[~_flagged(material, attack.scored.detection.p_values)]] = True
    return moved, missed


def _worst_class(material: Material, attack: Attacked) -> tuple[str, float] | None:
    truth = material.labels[material.targets[attack.rows]]
    flagged = _flagged(material, attack.scored.detection.p_values)
    rates = {
        int(label): float(flagged[truth == label].mean())
        for label in np.unique(truth)
        if (truth == label).sum() >= _FEWEST_OF_A_CLASS
    }
    if not rates:
        return None
    worst = min(rates, key=lambda label: rates[label])
    return material.detector.bundle.manifest.labels[worst], rates[worst]


def _flagged(material: Material, p_values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return p_values <= material.detector.bundle.manifest.rates.suspect
