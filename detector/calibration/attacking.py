"""Attacked images for the supervised scorer: the calibration's threat models, each made strong enough to succeed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.running import goals, prepare_attack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import Knowledge, Norm
from detector.errors import GradientsUnavailableError
from detector.shards.base import Job, Models, shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from detector.attacks.running import PreparedAttack
    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.base import Classifier, Float32Array
    from detector.progress import Advance
    from detector.shards.base import Compute, Shard
    from detector.shards.stages import Arrays

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


@dataclass(frozen=True, eq=False)
class Victims:
    """Images of one shard of an attack.

    Args:
        images: float32 (n, channels, height, width), canonical.
        labels: int64 (n,), their classes.
        goals: int64 (n,), the classes they are to leave or to reach.
        begin: Which of all attacked images is the first.
    """

    images: Float32Array
    labels: NDArray[np.int64]
    goals: NDArray[np.int64]
    begin: int


def attack_job(model: ThreatModel, target: AttackTarget, *, seed: int, title: str, compute: Compute) -> Job:
    """An attack in shards.

    Args:
        model: The attack, already of the right strength.
        target: What is attacked, by way of the gradients that the shards' own process has.
        seed: Of the attack.
        title: For people who watch.
        compute: What is done with each `Victims`, given a `PreparedAttack`.
    """
    attack, wanted = prepare_attack(model, target, seed=seed), goals(model, target, seed=seed)

    def part(shard: Shard) -> Victims:
        rows = shard.rows
        return Victims(target.images[rows], target.labels[rows], wanted[rows], rows.start)

    return Job(title, compute, attack, part, shards(len(target.images), attack.batch))


def moved_images(models: Models, attack: PreparedAttack, victims: Victims) -> Float32Array:
    """Attack one shard's images; float32, as they came, rounded to 256 levels."""
    if models.gradients is None:
        raise GradientsUnavailableError(f"{attack.model.name} can't be run without gradients")
    # Libraries were written for arrays that can be written to, and another process reads those it shares.
    images = victims.images if victims.images.flags.writeable else victims.images.copy()
    return attack.move(models.gradients, images, victims.goals, begin=victims.begin)


def keep_successes(models: Models, attack: PreparedAttack, victims: Victims, advance: Advance) -> Arrays:
    """A shard's work: `images` that the deployed classifier now gets wrong, and their `rows` among all attacked."""
    moved = moved_images(models, attack, victims)
    rows = np.flatnonzero(np.argmax(models.classifier.logits(moved), axis=1) != victims.labels)
    advance(len(moved))
    return {"images": moved[rows], "rows": victims.begin + rows}


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
    job = attack_job(model, target, seed=seed, title=model.name, compute=keep_successes)
    models = Models(classifier, target.gradients)
    found = [
        keep_successes(models, job.shared, job.part(shard), on_progress or (lambda _: None)) for shard in job.shards
    ]
    images, rows = (np.concatenate([arrays[name] for arrays in found]) for name in ("images", "rows"))
    return AttackedImages(images, rows)


def strong_enough(model: ThreatModel, classifier: Classifier, target: AttackTarget, *, seed: int) -> ThreatModel:
    """Double the budget until half of a few images are moved: what is small for photographs does nothing to digits.

    Only bounds on the perturbation's size depend on the data so; other attacks are returned as they are.
    """
    if not may_grow(model):
        return model
    probes = target.first(_PROBES)
    for _ in range(_DOUBLINGS):
        moved = attack_successfully(model, classifier, probes, seed=seed)
        if len(moved.rows) >= _ENOUGH * len(probes.images):
            break
        model = model.strengthened()
    return model


def may_grow(model: ThreatModel) -> bool:
    """Whether an attack's budget depends on the data."""
    return model.budget is not None and model.norm in {Norm.LINF, Norm.L2}


def budgets_job(models: Sequence[ThreatModel], target: AttackTarget, *, seed: int) -> Job:
    """What `strong_enough` makes of several attacks: `budgets`, float64, one each. Each attack is a shard.

    Args:
        models: Those that `may_grow`.
        target: What is attacked.
        seed: Of the attacks.
    """
    probes = target.first(_PROBES)
    shared = _Probes(probes.images, probes.labels, seed)
    return Job("Finding budgets", _find_budget, shared, lambda shard: models[shard.number], shards(len(models), 1))


@dataclass(frozen=True, eq=False)
class _Probes:
    images: Float32Array
    labels: NDArray[np.int64]
    seed: int


def _find_budget(models: Models, probes: _Probes, model: ThreatModel, advance: Advance) -> Arrays:
    if models.gradients is None:
        raise GradientsUnavailableError(f"{model.name} can't be run without gradients")
    target = AttackTarget(models.gradients, probes.images.copy(), probes.labels.copy())
    strong = strong_enough(model, models.classifier, target, seed=probes.seed)
    advance(1)
    return {"budgets": np.array([strong.budget], np.float64)}


def worth_probing(given: Sequence[ThreatModel]) -> list[ThreatModel]:
    """The attacks whose budget is to be found by trying."""
    seen: set[_Bound] = set()
    found = []
    for model in given:
        # Queries are costly: what an attack with gradients needed of the same budget is not probed again.
        if may_grow(model) and (model.knowledge is Knowledge.WHITE_BOX or _bound(model) not in seen):
            found.append(model)
        seen.add(_bound(model))
    return found


def strengthened(
    given: Sequence[ThreatModel], needed: Mapping[ThreatModel, float]
) -> Iterator[tuple[ThreatModel, ThreatModel]]:
    """Attacks, each beside itself with the budget that it takes; those that come to the same but once.

    Args:
        given: The attacks.
        needed: The budgets of those that were probed; others take what the last of the same norm and budget did.
    """
    known: dict[_Bound, float | None] = {}
    seen: set[str] = set()
    for model in given:
        bound = _bound(model)
        strong = replace(model, budget=needed[model] if model in needed else known.get(bound, model.budget))
        known[bound] = strong.budget
        if strong.name not in seen:
            yield model, strong
        seen.add(strong.name)


_Bound = tuple[Norm, float | None]


def _bound(model: ThreatModel) -> _Bound:
    return model.norm, model.budget
