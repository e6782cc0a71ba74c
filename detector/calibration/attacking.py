"""Attacked images for the supervised scorer: the calibration's threat models, each made strong enough to succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.running import run_attack
from detector.attacks.threat_models import Norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.attacks.target import AttackTarget
    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.base import Classifier, Float32Array

_ENOUGH = 0.5  # of the images, moved out of their class
_DOUBLINGS = 5
_PROBES = 32


@dataclass(frozen=True)
class AttackedImages:
    """The successes of one attack.

    Args:
        images: float32 (M, channels, height, width), canonical, rounded to 256 levels.
        rows: int64 (M,), which of the attacked images each came from.
    """

    images: Float32Array
    rows: NDArray[np.int64]


def attack_successfully(
    model: ThreatModel,
    classifier: Classifier,
    target: AttackTarget,
    *,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> AttackedImages:
    """Attack images and keep those the deployed classifier now gets wrong.

    Args:
        model: The attack, already of the right strength.
        classifier: Judges success; the one that is deployed.
        target: What is attacked; `classifier` classifies its images as it says.
        seed: Of the attack.
        on_progress: Told the number of images done since it was told last.
    """
    attacked = run_attack(model, target, seed=seed, on_progress=on_progress)
    rows = np.flatnonzero(np.argmax(classifier.logits(attacked), axis=1) != target.labels)
    return AttackedImages(attacked[rows], rows)


def strong_enough(model: ThreatModel, classifier: Classifier, target: AttackTarget, *, seed: int) -> ThreatModel:
    """Double the budget until half of a few images are moved: what is small for photographs does nothing to digits.

    Only bounds on the perturbation's size depend on the data so; other attacks are returned as they are.
    """
    if model.budget is None or model.norm not in {Norm.LINF, Norm.L2}:
        return model
    probes = target.first(_PROBES)
    for _ in range(_DOUBLINGS):
        moved = attack_successfully(model, classifier, probes, seed=seed)
        if len(moved.rows) >= _ENOUGH * len(probes.images):
            break
        model = model.strengthened()
    return model
