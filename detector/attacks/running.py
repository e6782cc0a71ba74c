"""Running threat models: with kept libraries wherever one has the attack, rounded to the levels a service sees."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.art_attacks import ART_FAMILIES, art_attack
from detector.attacks.foolbox_attacks import FOOLBOX_FAMILIES, foolbox_attack
from detector.attacks.threat_models import Family, ThreatModel
from detector.attacks.unconstrained import typical_losses, unconstrained_attack
from detector.errors import InvalidInputError
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from detector.attacks.target import Attack, AttackTarget, Int64Array
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

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


@dataclass(frozen=True, eq=False)
class PreparedAttack:
    """An attack on many images, ready to be run on a batch of them at a time, in any order and any process.

    Args:
        model: The attack.
        seed: Of all that is random in it.
        surrogate: What a transfer attack is made on.
        typical: float32 (classes,), for the unconstrained attack alone: see `typical_losses`.
    """

    model: ThreatModel
    seed: int
    surrogate: TorchClassifier | None = None
    typical: Float32Array | None = None

    @property
    def batch(self) -> int:
        """How many images are attacked together; another number would draw other random numbers."""
        return _SMALLER.get(self.model.family, _BATCH)

    def move(self, gradients: TorchClassifier, images: Float32Array, labels: Int64Array, *, begin: int) -> Float32Array:
        """Attack one batch, and round the result to the 256 levels a service sees.

        What is drawn depends on the seed and on where the batch begins, not on what was attacked before.

        Args:
            gradients: What is attacked.
            images: float32 (n, channels, height, width), canonical, n at most `batch`.
            labels: int64 (n,), as `goals` gives them.
            begin: Which of all images is the batch's first; a multiple of `batch`.

        Returns:
            float32, as `images`: whole multiples of 1/255.

        Raises:
            MissingExtraError: An attack library is not installed.
            GradientsUnavailableError: The classifier has no gradient.
        """
        with _seeded(self.seed + begin, gradients.device):
            moved = self._attack(gradients)(images, labels)
        return to_canonical(to_pixels(moved), gradients.spec.shape)

    def _attack(self, gradients: TorchClassifier) -> Attack:
        if self.model.family in FOOLBOX_FAMILIES:
            return foolbox_attack(self.model, gradients)
        if self.model.family in ART_FAMILIES:
            return art_attack(self.model, self.surrogate or gradients)
        assert self.typical is not None, f"{self.model.name} is prepared by prepare_attack"
        return unconstrained_attack(gradients, self.typical, steps=self.model.steps)


def prepare_attack(model: ThreatModel, target: AttackTarget, *, seed: int) -> PreparedAttack:
    """Find what all batches of an attack need to know of all images.

    Raises:
        InvalidInputError: The model can't be run on this target (see `obstacle`).
    """
    if reason := obstacle(model, target):
        raise InvalidInputError(reason, field="target")
    surrogate = target.surrogate if model.family is Family.TRANSFER else None
    typical = typical_losses(target) if model.family is Family.UNCONSTRAINED else None
    return PreparedAttack(model, seed, surrogate, typical)


def goals(model: ThreatModel, target: AttackTarget, *, seed: int) -> Int64Array:
    """int64 (N,): the class each image is to leave or, where the attack is targeted, to reach."""
    return random_goals(target.labels, len(target.gradients.labels), seed) if model.targeted else target.labels


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
    attack = prepare_attack(model, target, seed=seed)
    labels = goals(model, target, seed=seed)
    moved = np.empty_like(target.images)
    for begin in range(0, len(moved), attack.batch):
        rows = slice(begin, begin + attack.batch)
        moved[rows] = attack.move(target.gradients, target.images[rows], labels[rows], begin=begin)
        if on_progress:
            on_progress(len(moved[rows]))
    return moved


def random_goals(labels: Int64Array, classes: int, seed: int) -> Int64Array:
    """int64 (N,): for each image a class other than its own, each as likely; what targeted attacks go for."""
    return (labels + np.random.default_rng(seed).integers(1, classes, len(labels))) % classes


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
