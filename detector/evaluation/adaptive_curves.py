"""Attackers who know the guard, over rising budgets up to where they must win."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from detector.attacks.adaptive.guard import differentiable_guard
from detector.attacks.adaptive.running import ADAPTIVE_ATTACKS, attack_guard, success_rates
from detector.attacks.adaptive.square import detector_query, square_attack
from detector.errors import GradientsUnavailableError
from detector.evaluation.limits import tramer_note
from detector.evaluation.results import AdaptiveCurve, CurvePoint, TramerCheck
from detector.evaluation.tally import robust_within
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.attacks.adaptive.running import AdaptiveAttack
    from detector.attacks.adaptive.square import Query
    from detector.classifiers.base import Float32Array
    from detector.detector import Detector
    from detector.evaluation.material import Material
    from detector.shards.stages import Arrays

    Serving = Callable[[Path], AbstractContextManager[Query]]
    """From a bundle to a running service that can be asked."""

_USUAL_LEVELS = 8
USUAL = _USUAL_LEVELS / 255
"""The budget every attack is run at."""
WON = 0.9
"""SR@5 of an attack that has won."""
DEFAULT = "default"
HARDENED = "hardened"
_RATE = 0.05  # of SR@5
_SLACK = 1e-9
_QUERY_NOTE = "Asks for scores alone, through {}: random squares (arXiv 1912.00049), first for the class, then unseen."


@dataclass(frozen=True, eq=False)
class Besieged:
    """A guard under attack by those who know it.

    Args:
        configuration: Its name.
        detector: The guard.
        bundle: Its folder.
        images: float32 (N, channels, height, width), classified correctly and not flagged.
        labels: int64 (N,).
    """

    configuration: str
    detector: Detector
    bundle: Path
    images: Float32Array
    labels: NDArray[np.int64]


def informed_curves(material: Material, serving: Serving | None) -> list[AdaptiveCurve]:
    """All attackers who know the guard, against it as it is calibrated by default and, if wanted, hardened."""
    if not material.options.adaptive_images:
        return []
    curves = _curves(material, _besieged(material, material.detector, material.bundle, DEFAULT), serving)
    if material.options.hardening_images:
        hardened, bundle = material.hardened
        curves += _curves(material, _besieged(material, hardened, bundle, HARDENED), serving)
    return curves


def _besieged(material: Material, detector: Detector, bundle: Path, configuration: str) -> Besieged:
    """The first of the attacked test images that this guard lets through."""
    rows = material.targets
    answers = detector.score_canonical(material.benign.images[rows])
    accepted = rows[answers.p_values > detector.bundle.manifest.rates.suspect][: material.options.adaptive_images]
    return Besieged(configuration, detector, bundle, material.benign.images[accepted], material.labels[accepted])


def _curves(material: Material, target: Besieged, serving: Serving | None) -> list[AdaptiveCurve]:
    """Every attack at 8/255; the strongest of them over all budgets, and on until it wins."""
    if not len(target.images):
        return []
    siege = _Siege(material, target)
    curves = [siege.asking(serving)]
    try:
        usual = {attack: siege.point(attack, USUAL) for attack in ADAPTIVE_ATTACKS}
    except GradientsUnavailableError as error:
        material.progress.note(f"no adaptive attack with gradients: {error}")
        return curves
    strongest = max(usual, key=lambda attack: (usual[attack].sr5, usual[attack].sr50))
    for attack, point in usual.items():
        points = siege.all_budgets(attack, point) if attack == strongest else [point]
        curves.append(siege.curve(attack.name, attack.note, material.options.adaptive_steps, points))
    return curves


class _Siege:
    """One guard under all attacks."""

    def __init__(self, material: Material, target: Besieged) -> None:
        self._material, self._target = material, target

    @cached_property
    def _guard(self) -> DifferentiableGuard:
        """The guard with gradients; its stand-in learns from images that fitted the real scorer."""
        measured, material = self._material.measured, self._material
        images = measured.images_at(measured.split.fit[: material.options.stand_in_images])
        material.progress.note(f"taking the guard apart ({self._target.configuration})")
        guard = differentiable_guard(self._target.detector, images, seed=material.options.seed)
        material.progress.note(f"the attackers' stand-in ranks as the scorer does: {guard.fidelity:.3f}")
        return guard

    def all_budgets(self, attack: AdaptiveAttack, usual: CurvePoint) -> list[CurvePoint]:
        """The curve over the budgets of the options, then doubling until the attack wins or may do anything."""
        budgets = sorted({*self._material.options.adaptive_budgets, _USUAL_LEVELS})
        points = [usual if levels == _USUAL_LEVELS else self.point(attack, levels / 255) for levels in budgets]
        while points[-1].sr5 < WON and points[-1].budget < 1:
            points.append(self.point(attack, min(1.0, 2 * points[-1].budget)))
        return points

    def point(self, attack: AdaptiveAttack, budget: float) -> CurvePoint:
        """One attack at one budget."""
        target, options = self._target, self._material.options

        def run() -> Arrays:
            title = f"{attack.name} {budget * 255:g}/255, {target.configuration}"
            with self._material.progress.stage(title, len(target.images)) as advance:
                moved = attack_guard(
                    attack,
                    self._guard,
                    target.images,
                    target.labels,
                    budget=budget,
                    steps=options.adaptive_steps,
                    seed=options.seed,
                    on_progress=advance,
                )
            return {"pixels": to_pixels(moved)}

        arrays, _ = self._material.store.run(
            f"adaptive {attack.name} {budget * 255:g}",
            run,
            bundle=target.detector.bundle.digest,
            images=len(target.images),
            stand_in=options.stand_in_images,
            steps=options.adaptive_steps,
            seed=options.seed,
        )
        return self._judged(arrays, budget)

    def asking(self, serving: Serving | None) -> AdaptiveCurve:
        """The attack that only asks, at 8/255."""
        target, options = self._target, self._material.options
        service = serving(target.bundle) if serving else nullcontext(detector_query(target.detector))

        def run() -> Arrays:
            title = f"Square on the guard, {target.configuration}"
            with self._material.progress.stage(title, options.adaptive_queries) as advance, service as query:
                found = square_attack(
                    query,
                    target.images,
                    target.labels,
                    budget=USUAL,
                    queries=options.adaptive_queries,
                    seed=options.seed,
                    on_progress=advance,
                )
            return {"pixels": to_pixels(found.images)}

        arrays, _ = self._material.store.run(
            "adaptive Square",
            run,
            bundle=target.detector.bundle.digest,
            images=len(target.images),
            queries=options.adaptive_queries,
            seed=options.seed,
        )
        note = _QUERY_NOTE.format("the service's own API" if serving else "the detector in this process")
        points = [self._judged(arrays, USUAL)]
        return self.curve("Square on the guard", note, options.adaptive_queries, points)

    def curve(self, name: str, note: str, steps: int, points: Sequence[CurvePoint]) -> AdaptiveCurve:
        """A curve of points."""
        return AdaptiveCurve(
            name=name,
            configuration=self._target.configuration,
            images=len(self._target.images),
            steps=steps,
            points=points,
            note=note,
        )

    def _judged(self, arrays: Arrays, budget: float) -> CurvePoint:
        detector, labels = self._target.detector, self._target.labels
        rates = success_rates(detector, to_canonical(arrays["pixels"], detector.bundle.manifest.spec.shape), labels)
        return CurvePoint(budget=budget, fooled=rates.fooled, sr5=rates.sr5, sr50=rates.sr50)


def tramer_check(material: Material, curves: Sequence[AdaptiveCurve]) -> TramerCheck:
    """The half-radius check at 8/255, by all attacks of this run on the default configuration."""
    passed = [p.sr5 for c in curves if c.configuration == DEFAULT for p in c.points if p.budget <= USUAL + _SLACK]
    accepted = float((material.right & (material.benign.detection.p_values > _RATE)).mean())
    robust = min(robust_within(material, USUAL), accepted * (1 - max(passed, default=0.0)))
    check = TramerCheck(radius=USUAL, robust_with_rejection=robust, implied_robust_at_half=robust, note="")
    return replace(check, note=tramer_note(check))
