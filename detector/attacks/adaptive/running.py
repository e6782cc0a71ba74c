"""The adaptive attacks by name, running them in batches, and how often they get through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.adaptive.ball import Ball
from detector.attacks.adaptive.checks import check_attack
from detector.attacks.adaptive.descent import Steps
from detector.attacks.adaptive.joint import joint_attack, orthogonal_attack, selective_attack
from detector.attacks.adaptive.mimicry import mimicking_attack, prototype_aware_attack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.attacks.adaptive.descent import Found
    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.classifiers.base import Float32Array
    from detector.detector import Detector

    Run = Callable[[DifferentiableGuard, Ball, Tensor, Steps, Tensor], Found]

_STEP = 0.25  # of the budget
_AT_ONCE = 256


@dataclass(frozen=True)
class AdaptiveAttack:
    """An attack with gradients on the whole guard.

    Args:
        name: In reports.
        note: What it does, in a few words.
        run: Given the guard, the ball, the classes to leave, the steps and a start.
    """

    name: str
    note: str
    run: Run


ADAPTIVE_ATTACKS = (
    AdaptiveAttack("joint", "margin + lambda * score, lambda found per image", joint_attack),
    AdaptiveAttack("selective", "margin while the class is right, else score", selective_attack),
    AdaptiveAttack("orthogonal", "as selective, each step orthogonal to the other's gradient", orthogonal_attack),
    AdaptiveAttack("mimicking", "margin + lambda * distance to the benign profile of the class", mimicking_attack),
    AdaptiveAttack(
        "prototype-aware", "as joint, and the path loss to the reached class's prototypes", prototype_aware_attack
    ),
)
"""All of them, the usual one first."""


@dataclass(frozen=True)
class SuccessRates:
    """How often attacked images get through; shares, 0..1, of all images attacked.

    SR@N: Bryniarski et al., arXiv 2106.15023, Sec. 4: of attacks that fool the classifier and are not flagged where N %
    of benign images would be.

    Args:
        fooled: Misclassified.
        sr5: Misclassified, with a p-value above 0.05.
        sr50: Misclassified, with a p-value above 0.5.
    """

    fooled: float
    sr5: float
    sr50: float


def attack_guard(
    attack: AdaptiveAttack,
    guard: DifferentiableGuard,
    images: Float32Array,
    labels: NDArray[np.int64],
    *,
    budget: float,
    steps: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> Float32Array:
    """Attack a guard.

    Half of the steps start at random within the ball; the other half from the best found, with a stand-in that has
    learnt from what the first half met, on the images that are not won yet.

    Args:
        attack: Which.
        guard: What is attacked.
        images: float32 (N, channels, height, width), canonical, whole levels.
        labels: int64 (N,), classes to leave.
        budget: Linf, in (0, 1].
        steps: Of descent, in all; each costs `forwards_per_image` forwards and as many backwards.
        seed: Of the start.
        on_progress: Told the number of images done since it was told last.

    Returns:
        float32, as `images`: whole levels within the budget. Not all of them succeed.

    Raises:
        InvalidInputError: The budget or the number of steps is out of range, or there is not one label for each image.
    """
    check_attack(images, labels, budget=budget, steps=steps)
    generator = torch.Generator().manual_seed(seed)
    attacked = images.copy()
    for begin in range(0, len(images), guard.images_at_once):
        rows = slice(begin, begin + guard.images_at_once)
        ball = Ball.around(torch.from_numpy(images[rows]), budget)
        wanted = torch.from_numpy(labels[rows])
        attacked[rows] = _attacked(
            attack.run, guard, ball, wanted, halves=_halves(steps, budget), start=ball.random(generator)
        )
        if on_progress:
            on_progress(len(wanted))
    return attacked


def _halves(steps: int, budget: float) -> tuple[Steps, Steps]:
    later = steps // 2
    return Steps(count=steps - later, size=_STEP * budget), Steps(count=later, size=_STEP * budget / 2)


def _attacked(
    run: Run, guard: DifferentiableGuard, ball: Ball, labels: Tensor, *, halves: tuple[Steps, Steps], start: Tensor
) -> Float32Array:
    first = run(guard, ball, labels, halves[0], start)
    images = first.images.numpy()
    rows = first.open
    if not len(rows) or not halves[1].count:
        return images
    again = run(
        guard.refreshed(first.seen), ball.at(torch.from_numpy(rows)), labels[rows], halves[1], first.images[rows]
    )
    better = again.badness < first.badness[rows]
    images[rows[better]] = again.images.numpy()[better]
    return images


def success_rates(detector: Detector, attacked: Float32Array, labels: NDArray[np.int64]) -> SuccessRates:
    """How often attacked images get through a detector.

    Args:
        detector: The real one.
        attacked: float32 (N, channels, height, width), canonical, N >= 1.
        labels: int64 (N,), their true classes.
    """
    parts = [detector.score_canonical(attacked[i : i + _AT_ONCE]) for i in range(0, len(attacked), _AT_ONCE)]
    wrong = np.concatenate([part.predicted for part in parts]) != labels
    p_values = np.concatenate([part.p_values for part in parts])
    return SuccessRates(*(float((wrong & (p_values > rate)).mean()) for rate in (0.0, 0.05, 0.5)))
