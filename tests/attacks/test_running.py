from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.libraries import library_available
from detector.attacks.running import goals, prepare_attack, random_goals, run_attack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import (
    Family,
    Norm,
    ThreatModel,
    apgd_ce,
    apgd_dlr,
    bim,
    cw,
    deep_fool,
    ead,
    fgsm,
    fmn,
    hop_skip_jump,
    one_pixel,
    patch,
    pgd,
    pgd_l2,
    salt_and_pepper,
    spatial,
    square,
    targeted_pgd,
    transfer,
    unconstrained,
)
from tests.support.bundles import calibration_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

# Digits of eight by eight pixels need larger budgets than photographs.
SUCCESSES = {
    fgsm(24): 0.3,
    bim(24): 0.3,
    pgd(24): 0.3,
    pgd_l2(1.0): 0.8,
    targeted_pgd(48): 0.7,
    apgd_ce(24): 0.3,
    apgd_dlr(24): 0.3,
    deep_fool(): 0.9,
    cw(0.5, steps=100): 0.5,
    ead(0.5): 0.8,
    fmn(): 0.9,
    square(24, queries=100): 0.15,
    hop_skip_jump(steps=4): 0.8,
    spatial(): 0.6,
    one_pixel(generations=8): 0.5,
    patch(): 0.2,
    salt_and_pepper(steps=60): 0.7,
    transfer(48): 0.1,
    unconstrained(): 0.8,
}
ATTACKS = list(SUCCESSES)
NAMED = pytest.mark.parametrize("model", ATTACKS, ids=lambda model: model.name)
RANDOM = {
    *(Family.PGD, Family.APGD_CE, Family.APGD_DLR, Family.SQUARE, Family.HOP_SKIP_JUMP, Family.SPATIAL),
    *(Family.ONE_PIXEL, Family.PATCH, Family.SALT_AND_PEPPER, Family.TRANSFER, Family.UNCONSTRAINED),
}
HALF_A_LEVEL = 0.5 / 255 + 1e-6


@pytest.fixture(scope="module")
def attacked(target: AttackTarget) -> Callable[[ThreatModel], Float32Array]:
    """Each attack's images, made once."""
    made: dict[str, Float32Array] = {}

    def find(model: ThreatModel) -> Float32Array:
        if model.name not in made:
            made[model.name] = run_attack(model, target, seed=0)
        return made[model.name]

    return find


def test_the_libraries_are_here_and_every_family_is_tried() -> None:
    assert library_available()
    assert {model.family for model in ATTACKS} == set(Family)


@NAMED
def test_an_attack_moves_images_out_of_their_class_or_into_the_one_it_goes_for(
    model: ThreatModel, target: AttackTarget, attacked: Callable[[ThreatModel], Float32Array]
) -> None:
    found = target.gradients.logits(attacked(model)).argmax(axis=1)
    hits = found == random_goals(target.labels, 10, 0) if model.targeted else found != target.labels
    assert hits.mean() >= SUCCESSES[model]


@NAMED
def test_attacked_images_have_whole_levels_inside_the_box(
    model: ThreatModel, target: AttackTarget, attacked: Callable[[ThreatModel], Float32Array]
) -> None:
    moved = attacked(model)
    assert moved.dtype == np.float32
    assert moved.shape == target.images.shape
    assert moved.min() >= 0
    assert moved.max() <= 1
    np.testing.assert_array_equal(moved, np.rint(moved * 255).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    "model",
    [
        *(fgsm(3.7), bim(3.7), pgd(3.7), pgd(24), pgd_l2(0.3), pgd_l2(2.0), targeted_pgd(3.7), apgd_ce(3.7)),
        *(apgd_dlr(3.7), square(3.7, queries=20), transfer(3.7)),
    ],
    ids=lambda model: model.name,
)
def test_an_attack_stays_within_its_budget_but_for_rounding(model: ThreatModel, target: AttackTarget) -> None:
    moved = run_attack(model, target, seed=0) - target.images
    if model.norm is Norm.LINF:
        largest, rounding = np.abs(moved).max(), HALF_A_LEVEL
    else:
        largest = np.linalg.norm(moved.reshape(len(moved), -1), axis=1).max()
        rounding = HALF_A_LEVEL * np.sqrt(moved[0].size)
    assert model.budget is not None
    assert 0.5 * model.budget < largest <= model.budget + rounding


def test_a_few_pixels_are_few(target: AttackTarget, attacked: Callable[[ThreatModel], Float32Array]) -> None:
    changed = (attacked(one_pixel(generations=8)) != target.images).any(axis=1).sum(axis=(1, 2))
    assert 1 <= changed.max() <= 5


@pytest.mark.parametrize(("area", "side"), [(1 / 16, 2), (1 / 4, 4)])
def test_a_patch_is_a_square_of_its_area_at_different_places(area: float, side: int, target: AttackTarget) -> None:
    changed = (run_attack(patch(area, steps=5), target, seed=0) != target.images).any(axis=1)
    corners = set()
    for mask in changed[changed.any(axis=(1, 2))]:
        rows, columns = np.nonzero(mask)
        assert np.ptp(rows) < side
        assert np.ptp(columns) < side
        corners.add((rows.min(), columns.min()))
    assert len(corners) > 5


@NAMED
def test_the_same_seed_makes_the_same_images(model: ThreatModel, target: AttackTarget) -> None:
    few = replace(target, images=target.images[:6], labels=target.labels[:6])
    model = replace(model, steps=min(model.steps, 10))
    first = run_attack(model, few, seed=3)
    np.testing.assert_array_equal(first, run_attack(model, few, seed=3))
    if model.family in RANDOM:
        assert (first != run_attack(model, few, seed=4)).any()


@NAMED
def test_a_batch_gives_the_same_alone_as_after_others(model: ThreatModel, target: AttackTarget) -> None:
    model = replace(model, steps=min(model.steps, 3))
    attack = prepare_attack(model, target, seed=3)
    few = AttackTarget(
        target.gradients,
        np.resize(target.images, (attack.batch + 3, *target.images.shape[1:])),
        np.resize(target.labels, attack.batch + 3),
        target.surrogate,
    )
    attack, rows = prepare_attack(model, few, seed=3), slice(attack.batch, None)
    wanted = goals(model, few, seed=3)[rows]
    alone = attack.move(few.gradients, few.images[rows], wanted, begin=attack.batch)
    np.testing.assert_array_equal(alone, run_attack(model, few, seed=3)[rows])
    assert alone.shape == (3, *few.images.shape[1:])


@NAMED
def test_the_global_generators_and_the_images_given_are_left_as_they_were(
    model: ThreatModel, target: AttackTarget
) -> None:
    few = AttackTarget(target.gradients, target.images[:2].copy(), target.labels[:2].copy(), target.surrogate)
    numbers, bits = np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002 - this is what is tested
    run_attack(replace(model, steps=min(model.steps, 5)), few, seed=0)
    after = np.random.get_state(legacy=False)  # noqa: NPY002 - likewise
    np.testing.assert_equal(after, numbers)
    assert torch.equal(torch.get_rng_state(), bits)
    np.testing.assert_array_equal(few.images, target.images[:2])
    np.testing.assert_array_equal(few.labels, target.labels[:2])


def test_progress_adds_up(classifier: TorchClassifier, digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    told: list[int] = []
    run_attack(fgsm(8), AttackTarget(classifier, images[:300], labels[:300]), seed=0, on_progress=told.append)
    assert len(told) > 1
    assert sum(told) == 300


def test_a_transfer_attack_never_asks_the_classifier(target: AttackTarget, surrogate: TorchClassifier) -> None:
    alone = AttackTarget(surrogate, target.images, target.labels)
    there = run_attack(transfer(48), target, seed=0)
    np.testing.assert_array_equal(there, run_attack(pgd(48), alone, seed=0))


def test_goals_are_other_classes_each_as_likely() -> None:
    labels = np.repeat(np.arange(5), 2000)
    goals = random_goals(labels, 5, 0)
    assert (goals != labels).all()
    counts = np.bincount(goals[labels == 0], minlength=5)[1:]
    assert abs(counts - 500).max() < 100  # five standard deviations
