"""Hardening: what an attacker who knows the fitted guard finds joins the attacks it is fitted on.

Adversarial training of the detector alone; the classifier stays as it is. It costs nothing when serving. It raises the
price of the attack it was trained on and is no proof against the next one (Tramer et al., arXiv 2002.08347, Sec. 3).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.adaptive.guard import differentiable_guard
from detector.attacks.adaptive.running import ADAPTIVE_ATTACKS, attack_guard
from detector.attacks.threat_models import Norm
from detector.scoring.features import profile_features

if TYPE_CHECKING:
    from detector.calibration.measuring import Measurements
    from detector.calibration.options import CalibrationOptions
    from detector.classifiers.base import Float32Array
    from detector.detector import Detector
    from detector.progress import Progress
    from detector.shards.stages import Arrays

_USUAL_BUDGET = 8 / 255
_STAND_IN_IMAGES = 300


def adaptive_successes(
    detector: Detector, measured: Measurements, options: CalibrationOptions, progress: Progress, *, turn: int = 0
) -> dict[str, Float32Array]:
    """Attack a fitted guard on images that fitted it, by every attack that knows it in turn.

    Args:
        detector: The guard.
        measured: Its images.
        options: How many to attack: `hardening_images`.
        progress: Watches.
        turn: Which round of hardening it is, from 0; each attacks the images after those of the one before.

    Returns:
        Per budget: float32 (M, features) of the images misclassified in the end, flagged or not; those without any are
        left out.

    Raises:
        GradientsUnavailableError: The bundle's classifier can't be differentiated; says why.
    """
    right = measured.split.fit[measured.predicted[measured.split.fit] == measured.truth[measured.split.fit]]
    rows = np.roll(right, -turn * options.hardening_images)[: options.hardening_images]
    images, truth = measured.images_at(rows), measured.truth[rows]
    budgets = _budgets(measured)
    scorer = hashlib.sha256(detector.bundle.parts.scorer).hexdigest()

    def run() -> Arrays:
        progress.note(f"hardening, round {turn + 1}: taking the guard apart as an attacker would")
        guard = differentiable_guard(
            detector, measured.images_at(measured.split.fit[:_STAND_IN_IMAGES]), seed=options.seed
        )
        found = {}
        for budget in budgets:
            moved = np.empty_like(images)
            with progress.stage(f"Hardening, round {turn + 1}, at {budget * 255:g}/255", len(rows)) as advance:
                for at, attack in enumerate(ADAPTIVE_ATTACKS):
                    part = slice(at, None, len(ADAPTIVE_ATTACKS))
                    moved[part] = attack_guard(
                        attack,
                        guard,
                        images[part],
                        truth[part],
                        budget=budget,
                        steps=options.hardening_steps,
                        seed=options.seed,
                        on_progress=advance,
                    )
            answers = detector.score_canonical(moved)
            broken = answers.predicted != truth
            features = profile_features(answers.profile, detector.bundle.parts.statistics)
            found[f"adaptive {budget * 255:g}/255, round {turn + 1}"] = features[broken]
        return found

    depends = {
        "scorer": scorer,
        "images": len(rows),
        "turn": turn,
        "budgets": budgets,
        "steps": options.hardening_steps,
    }
    arrays, _ = measured.store.run("hardening", run, **measured.walked_json, **depends)
    return {name: features for name, features in arrays.items() if len(features)}


def _budgets(measured: Measurements) -> tuple[float, float]:
    """The largest Linf budget of the attacks in training, which calibration fits to the images, and a quarter of it."""
    found = [model.budget for model, _ in measured.moved.values() if model.norm is Norm.LINF and model.budget]
    largest = min(1.0, max(found, default=_USUAL_BUDGET))
    return largest / 4, largest
