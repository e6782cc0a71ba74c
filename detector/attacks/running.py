"""Running threat models: with kept libraries wherever one has the attack, rounded to the levels a service sees."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.art_attacks import ART_FAMILIES, art_attack
from detector.attacks.foolbox_attacks import FOOLBOX_FAMILIES, foolbox_attack
from detector.attacks.threat_models import Family, ThreatModel
from detector.attacks.unconstrained import unconstrained_attack
from detector.errors import InvalidInputError
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from detector.attacks.target import Attack, AttackTarget, Int64Array
    from detector.classifiers.base import Float32Array

_BATCH = 128
_SMALLER = {Family.HOP_SKIP_JUMP: 32, Family.ONE_PIXEL: 8}  # memory for noisy copies; images done one by one
_LEAST_CLASSES = {Family.APGD_DLR: 3, Family.ONE_PIXEL: 3}  # the ratio has three logits; the library refuses two
_FEWEST = 2


def obstacle(model: ThreatModel, target: AttackTarget) -> str | None:
    """Why a threat model can't be run on this target, in words; None if it can."""
    least = _LEAST_CLASSES.get(model.family, _FEWEST)
    if len(target.gradients.labels) < least:
        return f"{model.name} needs at least {least} classes"
    if model.family is Family.TRANSFER and target.surrogate is None:
        return f"{model.name} needs a surrogate classifier"
    return None


def run_attack(
    model: ThreatModel,
    target: AttackTarget,
    *,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> Float32Array:
    """Attack images, and round the result to the 256 levels a service sees.

    Args:
        model: The attack.
        target: What is attacked.
        seed: Of all that is random in the attack; the same seed gives the same images.
        on_progress: Told the number of images done since it was told last.

    Returns:
        float32 (N, channels, height, width), canonical, whole multiples of 1/255; not all of them succeed.

    Raises:
        MissingExtraError: An attack library is not installed.
        GradientsUnavailableError: The classifier has no gradient.
        InvalidInputError: The model can't be run on this target (see `obstacle`).
    """
    if reason := obstacle(model, target):
        raise InvalidInputError(reason, field="target")
    images = target.images
    labels = random_goals(target.labels, len(target.gradients.labels), seed) if model.targeted else target.labels
    size = _SMALLER.get(model.family, _BATCH)
    moved = np.empty_like(images)
    with _seeded(seed, target.gradients.device):
        attack = _ready(model, target)
        for begin in range(0, len(images), size):
            rows = slice(begin, begin + size)
            moved[rows] = attack(images[rows], labels[rows])
            if on_progress:
                on_progress(len(images[rows]))
    return to_canonical(to_pixels(moved), target.gradients.spec.shape)


def random_goals(labels: Int64Array, classes: int, seed: int) -> Int64Array:
    """int64 (N,): for each image a class other than its own, each as likely; what targeted attacks go for."""
    return (labels + np.random.default_rng(seed).integers(1, classes, len(labels))) % classes


def _ready(model: ThreatModel, target: AttackTarget) -> Attack:
    if model.family in FOOLBOX_FAMILIES:
        return foolbox_attack(model, target.gradients)
    if model.family in ART_FAMILIES:
        surrogate = target.surrogate if model.family is Family.TRANSFER else None
        return art_attack(model, surrogate or target.gradients)
    return unconstrained_attack(target, steps=model.steps)


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators, which are the only ones the libraries draw from, and put them back afterwards."""
    state = np.random.get_state()  # noqa: NPY002 - see above
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - see above
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002 - see above
